"""What torch.save wrote: a zip of a pickle and of the tensors' bytes, read without the bytes.

data.pkl     the object; where it has a tensor, there is the name of a storage, an offset, a shape and strides
data/KEY     the bytes of a storage, uncompressed
byteorder    little (absent in files of older releases)
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from harness.checkpoint.torch_save.restricted_pickle import UNTYPED, DataUnpickler, DtypeName, StorageType
from harness.checkpoint.torch_save.zip_entries import FileWindow, ZipEntry, read_entries
from harness.errors import ConfigError

_ITEMSIZES = {
    **dict.fromkeys(("uint8", "int8", "bool", UNTYPED), 1),
    **dict.fromkeys(("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"), 1),
    **dict.fromkeys(("bfloat16", "float16", "int16", "uint16"), 2),
    **dict.fromkeys(("float32", "int32", "uint32"), 4),
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 8),
    "complex128": 16,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTensor:
    """A tensor in a file: `offset` is the byte in `path` at which its first element lies."""

    dtype: str
    shape: tuple[int, ...]
    path: Path
    offset: int
    contiguous: bool


@dataclass(frozen=True, kw_only=True)
class TorchFile:
    """The pickled object, tensors as `StoredTensor`, and the entries that hold it."""

    content: Any
    entries: tuple[ZipEntry, ...]


def read_torch_file(path: Path, offset: int = 0, length: int | None = None) -> TorchFile:
    """Read the zip of `length` bytes at `offset` in a file; ConfigError where it is none, is damaged or not data."""
    where = f"{path}, byte {offset}" if offset else str(path)
    try:
        with path.open("rb", buffering=0) as file:
            left = os.fstat(file.fileno()).st_size - offset
            window = FileWindow(file.fileno(), offset, left if length is None else min(length, left))
            entries = read_entries(window, where)
            pickled = window.at(entries["data.pkl"].offset, entries["data.pkl"].size_bytes)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    content = TensorUnpickler(pickled, where, path, entries).read()
    return TorchFile(content=content, entries=tuple(entries.values()))


class TensorUnpickler(DataUnpickler):
    """Unpickles data with tensors, each as a `StoredTensor`."""

    def __init__(self, pickled: bytes, where: str, path: Path, entries: dict[str, ZipEntry]) -> None:
        self._path, self._entries = path, entries
        super().__init__(pickled, where)

    def functions(self) -> dict[str, Callable[..., Any]]:
        """How torch pickles tensors and parameters."""
        return {
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_tensor_v3": self._tensor_of_bytes,
            "torch._utils._rebuild_parameter": self._parameter,
            "torch._utils._rebuild_parameter_with_state": self._parameter,
        }

    def persistent_load(self, pid: Any, /) -> tuple[str, ZipEntry]:
        """A storage: ("storage", type, key, device, elements) → number format of its elements, entry."""
        match pid:
            case ("storage", StorageType(dtype=dtype), str() as key, _, int() as elements):
                pass
            case _:
                raise ConfigError(f"{self.where}: the pickle refers to {pid!r}, which is no storage of a tensor")
        entry = self._entries.get(f"data/{key}")
        if entry is None or entry.size_bytes < elements * _ITEMSIZES[dtype]:
            found = "no such entry" if entry is None else f"{entry.size_bytes} bytes"
            raise ConfigError(
                f"{self.where}: storage {key} of {elements} × {dtype}: {found}; the file is damaged, copy it again"
            )
        return dtype, entry

    def _tensor(self, storage: tuple[str, ZipEntry], first: int, shape: Any, strides: Any, *_rest: Any) -> StoredTensor:
        return self._stored(storage[0], storage[1], first, shape, strides)

    def _tensor_of_bytes(
        self,
        storage: tuple[str, ZipEntry],
        first: int,
        shape: Any,
        strides: Any,
        _grad: Any,
        _hooks: Any,
        dtype: DtypeName,
    ) -> StoredTensor:
        return self._stored(dtype.name, storage[1], first, shape, strides)

    @staticmethod
    def _parameter(data: Any, *_rest: Any) -> Any:
        return data

    def _stored(self, dtype: str, entry: ZipEntry, first: int, shape: Any, strides: Any) -> StoredTensor:
        shape, strides, itemsize = tuple(map(int, shape)), tuple(map(int, strides)), _ITEMSIZES[dtype]
        contiguous = _is_contiguous(shape, strides)
        if (
            first < 0
            or min(shape, default=0) < 0
            or (contiguous and entry.size_bytes < (first + prod(shape)) * itemsize)
        ):
            raise ConfigError(
                f"{self.where}: a tensor of shape {shape} from element {first} on does not fit {entry.name}"
            )
        offset = entry.offset + first * itemsize
        return StoredTensor(dtype=dtype, shape=shape, path=self._path, offset=offset, contiguous=contiguous)


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the elements follow each other in memory; the stride of an axis of one element does not matter."""
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True

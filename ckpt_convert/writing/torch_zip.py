"""The zip archives that torch.save writes, one tensor or one object each.

Every entry is stored, its data at a multiple of 64 bytes, its CRC behind the data (which can so be written before the
CRC is known), its name under `archive/`: data.pkl says what the object is, data/0 are the tensor's bytes.
"""

import struct
import zlib
from functools import cache
from itertools import accumulate
from math import prod

from ckpt_convert.tensors import Dtype, TensorInfo
from ckpt_convert.writing.pickles import Call, Global, PersistentId, pickled

ALIGNMENT = 64
_STORAGES = {Dtype.BF16: "BFloat16Storage", Dtype.F16: "HalfStorage", Dtype.F32: "FloatStorage"}
_LOCAL = struct.Struct("<4s5H3I2H")
_EXTRA = struct.Struct("<2sH")
_DESCRIPTOR = struct.Struct("<4s3I")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_FLAGS = 0x0808  # UTF-8 names; sizes and CRC follow the data
_NO_TIME = (0, 0)


def object_archive(value: object) -> bytes:
    """What torch.save writes for an object without tensors: plain data and the nodes of `pickles`."""
    archive = _Archive()
    for name, content in _entries(value):
        archive.add(name, content)
    archive.end()
    return bytes(archive.out)


def tensor_head(info: TensorInfo) -> bytes:
    """All that stands before the bytes of a tensor of shape `info.shape`; its length is a multiple of 64."""
    return _tensor_start(info)[0]


def tensor_tail(info: TensorInfo, crc: int) -> bytes:
    """All that follows the tensor's bytes, whose CRC-32 is `crc`; its length does not depend on it."""
    head, directory, start = _tensor_start(info)
    archive = _Archive()
    archive.position, archive.directory = len(head) + info.size_bytes, bytearray(directory)
    archive.entries = _TENSOR_ENTRIES - 1
    archive.close_entry("data/0", start, crc, info.size_bytes)
    archive.end()
    return bytes(archive.out)


_TENSOR_ENTRIES = 4


@cache
def _tensor_start(info: TensorInfo) -> tuple[bytes, bytes, int]:
    """Head of the archive, its directory so far, and the offset at which the entry of the tensor's bytes starts."""
    archive = _Archive()
    for name, content in _entries(_tensor(info)):
        archive.add(name, content)
    start = archive.position
    archive.open_entry("data/0")
    return bytes(archive.out), bytes(archive.directory), start


def _entries(value: object) -> tuple[tuple[str, bytes], ...]:
    return ("data.pkl", pickled(value)), ("byteorder", b"little"), ("version", b"3\n")


def _tensor(info: TensorInfo) -> Call:
    """The contiguous tensor whose storage is data/0."""
    storage = ("storage", Global("torch", _STORAGES[info.dtype]), "0", "cpu", prod(info.shape))
    strides = tuple(accumulate(reversed(info.shape[1:]), lambda stride, size: stride * size, initial=1))[::-1]
    no_hooks = Call(Global("collections", "OrderedDict"), ())
    arguments = (PersistentId(storage), 0, info.shape, strides, False, no_hooks)
    return Call(Global("torch._utils", "_rebuild_tensor_v2"), arguments)


class _Archive:
    """An archive from its first byte on; `position` counts all its bytes, `out` holds those that are written here."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.position = 0
        self.directory = bytearray()
        self.entries = 0

    def add(self, name: str, content: bytes) -> None:
        """A whole entry."""
        start = self.position
        self.open_entry(name)
        self._put(content)
        self.close_entry(name, start, zlib.crc32(content), len(content))

    def open_entry(self, name: str) -> None:
        """What stands before an entry's data, up to the next multiple of 64."""
        path = _path(name)
        unpadded = self.position + _LOCAL.size + len(path) + _EXTRA.size
        padding = -unpadded % ALIGNMENT
        self._put(_LOCAL.pack(b"PK\3\4", 0, _FLAGS, 0, *_NO_TIME, 0, 0, 0, len(path), _EXTRA.size + padding))
        self._put(path + _EXTRA.pack(b"FB", padding) + b"Z" * padding)

    def close_entry(self, name: str, start: int, crc: int, size: int) -> None:
        """What follows an entry's data, and its line in the directory."""
        path = _path(name)
        self._put(_DESCRIPTOR.pack(b"PK\7\b", crc, size, size))
        line = (0, 0, _FLAGS, 0, *_NO_TIME, crc, size, size, len(path), 0, 0, 0, 0, 0, start)
        self.directory += _CENTRAL.pack(b"PK\1\2", *line) + path
        self.entries += 1

    def end(self) -> None:
        """The directory, which ends the archive."""
        start, size = self.position, len(self.directory)
        self._put(self.directory)
        self._put(_END.pack(b"PK\5\6", 0, 0, self.entries, self.entries, size, start, 0))

    def _put(self, data: bytes | bytearray) -> None:
        self.out += data
        self.position += len(data)


def _path(name: str) -> bytes:
    return f"archive/{name}".encode()

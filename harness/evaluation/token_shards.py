"""Token shards: a NumPy array in a file, or tokens behind a header of 1,024 bytes.

The second is what llm.c writes, in which FineWeb is handed about under names that end in .bin or .npy: 256 i32, of
which the first three are a magic number, a version and the number of tokens; then the tokens. Magic 20240520, version 1
is GPT-2's vocabulary in u16; 20240801, version 7 is Llama 3's in u32. Others write u32 under the first one too, so what
a token takes is told by the file's size. All is little-endian.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError

_HEADER_BYTES = 1024
_MAGIC_OF_VERSION = {1: 20240520, 7: 20240801}
_NPY_MAGIC = b"\x93NUMPY"


def open_shard(file: Path) -> NDArray[Any]:
    """The file's tokens [tokens], whole numbers mapped into memory; ConfigError where it holds no such."""
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEADER_BYTES)
        if not head:
            raise ConfigError(f"{file}: is empty")
        shard = _open_npy(file) if head.startswith(_NPY_MAGIC) else _open_dump(file, head)
    except OSError as error:
        raise ConfigError(f"{file}: cannot read: {error.strerror or error}") from error
    if not len(shard):
        raise ConfigError(f"{file}: holds no token")
    return shard


def _open_npy(file: Path) -> NDArray[Any]:
    """The array of an .npy."""
    try:
        array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ConfigError(f"{file}: cannot be read as .npy: {error}") from error
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ConfigError(
            f"{file}: holds {array.dtype} of shape {array.shape}; tokens are whole numbers (uint16 or uint32) in one "
            "dimension"
        )
    return array


def _open_dump(file: Path, head: bytes) -> NDArray[Any]:
    """The tokens behind a header."""
    magic, version, count = (
        np.frombuffer(head[: len(head) // 4 * 4], "<i4")[:3].tolist() if len(head) >= 12 else (0,) * 3
    )
    if _MAGIC_OF_VERSION.get(version) != magic or len(head) < _HEADER_BYTES:
        known = " or ".join(f"{known}, version {number}" for number, known in _MAGIC_OF_VERSION.items())
        raise ConfigError(
            f"{file}: is no .npy and has no header of 1,024 bytes with magic {known}; found {magic}, version "
            f"{version}. Bare tokens become an .npy by numpy.save(FILE, numpy.fromfile(FILE, dtype))"
        )
    size = file.stat().st_size - _HEADER_BYTES
    code = {2 * count: "<u2", 4 * count: "<u4"}.get(size)
    if code is None:
        raise ConfigError(
            f"{file}: holds {size} bytes behind its header, which says {count} tokens, {2 * count} bytes in uint16 and "
            f"{4 * count} in uint32: copy it again"
        )
    return np.memmap(file, code, "r", offset=_HEADER_BYTES) if count else np.empty(0, code)

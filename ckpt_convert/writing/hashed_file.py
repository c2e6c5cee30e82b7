"""A file written from first to last byte through one small buffer, and hashed while its bytes are in the cache."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ckpt_convert.writing.problems import writing

BUFFER_BYTES = 1 << 20
"""Small enough to stay in the second-level cache between reading, hashing and writing."""
BLOCK_BYTES = 4096
"""Direct writes go from a multiple of this in memory to one in the file."""

type Bytes = NDArray[np.uint8]


class HashedFile:
    """Takes bytes, and offers room in its buffer to read rows into. EnvironmentProblem where it cannot be written.

    Whole blocks go to the disk directly where the file system lets them: nobody reads the file soon, and a copy of it
    in the page cache would cost as much time as hashing it. Use it in a `with` block; what was written is on the disk
    when `finish` returns.
    """

    def __init__(self, path: Path, buffer: Bytes, wrote: Callable[[int], None]) -> None:
        """A new file in place of any other of that name; `wrote` is called with the bytes of each write."""
        self._path = path
        self._buffer = buffer
        self._wrote = wrote
        self._used = 0
        self._sha256 = hashlib.sha256()
        with self._writing():
            self._descriptor = _open_new(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def put(self, data: bytes) -> None:
        """Append bytes."""
        start = 0
        while start < len(data):
            room = self.room(len(data) - start, 1)
            room[:] = np.frombuffer(data, np.uint8, len(room), start)
            start += len(room)

    def room(self, wanted_bytes: int, unit_bytes: int) -> Bytes:
        """The next bytes of the file, to be filled before the next call: whole units, at most `wanted_bytes`."""
        if len(self._buffer) - self._used < unit_bytes:
            self._flush()
        free = len(self._buffer) - self._used
        size = min(wanted_bytes, free) // unit_bytes * unit_bytes
        start = self._used
        self._used += size
        return self._buffer[start : self._used]

    def finish(self) -> str:
        """Put everything on the disk, and return the SHA-256 of the file in hexadecimal digits."""
        self._flush()
        with self._writing():
            _write_by_cache(self._descriptor)
            self._write(self._buffer[: self._used])
            os.fdatasync(self._descriptor)
        return self._sha256.hexdigest()

    def _flush(self) -> None:
        """Write the whole blocks that are in the buffer, and keep what is left of the last one at its beginning."""
        whole = self._used // BLOCK_BYTES * BLOCK_BYTES
        with self._writing():
            self._write(self._buffer[:whole])
        self._buffer[: self._used - whole] = self._buffer[whole : self._used]
        self._used -= whole

    def _write(self, data: Bytes) -> None:
        """Hash and write all of `data`; where the file system refuses a direct write, by way of its cache."""
        self._sha256.update(data)
        written = 0
        while written < len(data):
            try:
                written += os.write(self._descriptor, data[written:])
            except OSError as error:
                if error.errno != errno.EINVAL or not _write_by_cache(self._descriptor):
                    raise
        self._wrote(len(data))

    def _writing(self) -> AbstractContextManager[None]:
        return writing(self._path, resumable=True)


def new_buffer(row_bytes: int) -> Bytes:
    """A buffer for HashedFile that has room for a row of that size, at the beginning of a block."""
    size = max(BUFFER_BYTES, row_bytes + BLOCK_BYTES)
    memory = np.empty(size + BLOCK_BYTES, np.uint8)
    start = -memory.ctypes.data % BLOCK_BYTES
    return memory[start : start + size]


def _open_new(path: Path) -> int:
    """An empty file to write to, directly if the file system can."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        return os.open(path, flags | os.O_DIRECT, 0o644)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return os.open(path, flags, 0o644)


def _write_by_cache(descriptor: int) -> bool:
    """Write through the page cache from now on; False if that was so already."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
    return bool(flags & os.O_DIRECT)

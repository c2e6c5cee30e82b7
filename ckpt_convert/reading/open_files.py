"""File descriptors that threads share: opened when first read, and never more than a few at a time."""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ckpt_convert.tensors import Rows
from harness.errors import ConfigError, EnvironmentProblem


@dataclass(slots=True)
class _OpenFile:
    descriptor: int
    users: int = 0


class OpenFiles:
    """Files open for reading; the least recently used are closed first.

    At most `limit` stay open, besides those that threads are reading at this moment. Opening a file anew for every read
    would cost a round trip to the server of a network file system.
    """

    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._files: OrderedDict[Path, _OpenFile] = OrderedDict()
        self._lock = Lock()

    def read(self, path: Path, offset: int, out: Rows, where: str) -> None:
        """Fill `out`, C-contiguous, with the file's bytes from `offset` on; errors begin with `where`."""
        left = memoryview(out).cast("B")
        with self._descriptor(path) as descriptor:
            while left:
                try:
                    count = os.preadv(descriptor, [left], offset)
                except OSError as error:
                    raise EnvironmentProblem(f"{where}: cannot be read at byte {offset}: {error.strerror}") from error
                if not count:
                    raise ConfigError(
                        f"{where}: the file ends at byte {offset}, {len(left)} bytes early: truncated since it was "
                        "opened; copy the checkpoint again"
                    )
                left, offset = left[count:], offset + count

    @contextmanager
    def _descriptor(self, path: Path) -> Iterator[int]:
        """The file's descriptor, which stays open within the block. It has no position of its own."""
        with self._lock:
            file = self._opened(path)
            file.users += 1
        try:
            yield file.descriptor
        finally:
            with self._lock:
                file.users -= 1
                self._close_idle(self._limit)

    def close(self) -> None:
        """Close every file that nobody reads."""
        with self._lock:
            self._close_idle(0)

    def _opened(self, path: Path) -> _OpenFile:
        file = self._files.get(path)
        if file is None:
            try:
                file = _OpenFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            except OSError as error:
                raise EnvironmentProblem(f"{path}: cannot be opened: {error.strerror}") from error
            self._files[path] = file
        self._files.move_to_end(path)
        return file

    def _close_idle(self, keep: int) -> None:
        excess = max(0, len(self._files) - keep)
        idle = [path for path, file in self._files.items() if file.users == 0]
        for path in idle[:excess]:
            os.close(self._files.pop(path).descriptor)

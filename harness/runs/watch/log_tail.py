"""Read a run's log by whole lines while it grows on a disk that others write."""

import os
from io import BufferedReader
from pathlib import Path

_CHUNK_BYTES = 8 * 1024 * 1024


class LogTail:
    """A log that may not be there yet, may be cut short or replaced, and may be seen late on a shared disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inode: int | None = None
        self._partial = b""
        self.restarted = False

    def exists(self) -> bool:
        """Whether there is a log."""
        return self._path.is_file()

    def read_lines(self) -> list[str] | None:
        """Read on; return the lines that are now whole, None if nothing was added.

        `restarted` says whether they begin the file anew.
        """
        try:
            with self._path.open("rb") as file:
                chunk = self._read(file)
        except OSError:
            return None
        if not chunk:
            return None
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def _read(self, file: BufferedReader) -> bytes:
        now = os.fstat(file.fileno())
        self.restarted = self._inode is not None and (now.st_ino != self._inode or now.st_size < self._offset)
        if self.restarted:
            self._offset, self._partial = 0, b""
        self._inode = now.st_ino
        file.seek(self._offset)
        chunk = file.read(_CHUNK_BYTES)
        self._offset += len(chunk)
        return chunk

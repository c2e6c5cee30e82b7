"""A file that gets its name only when it is complete."""

import os
from collections.abc import Buffer
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from harness.errors import EnvironmentProblem


class PendingFile:
    """A new file beside its final place, under a hidden name of its own until `publish`.

    A full disk, a read-only folder and their kin are an EnvironmentProblem that names the final file.
    """

    def __init__(self, final: Path) -> None:
        self._final = final
        self._temporary = final.with_name(f".{final.name}.{os.getpid()}-{token_hex(4)}")
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._temporary.open("xb")
        except OSError as error:
            raise self._unwritable(error) from error

    def write(self, data: Buffer) -> None:
        """Append bytes."""
        try:
            self._stream.write(data)
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """End writing; a full disk may show only here."""
        try:
            self._stream.close()
        except OSError as error:
            raise self._unwritable(error) from error

    def publish(self) -> None:
        """Give the closed file its final name, in place of any other of that name."""
        try:
            self._temporary.replace(self._final)
        except OSError as error:
            raise self._unwritable(error) from error

    def discard(self) -> None:
        """Remove the file unless it was published."""
        with suppress(OSError):
            self._stream.close()
        self._temporary.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> EnvironmentProblem:
        """What the user reads."""
        reason = error.strerror or str(error)
        return EnvironmentProblem(f"{self._final}: cannot be written: {reason}; choose a place with room for it")

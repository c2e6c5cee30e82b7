"""The part of a run's log that one attempt wrote."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def open_part(log: Path, *, start_bytes: int, most_bytes: int) -> Iterator[BinaryIO]:
    """The log opened where the attempt began, or `most_bytes` before its end where that is later; OSError if it cannot.

    A log shorter than `start_bytes` was begun anew since, and is read from its own beginning.
    """
    with log.open("rb") as file:
        size = log.stat().st_size
        file.seek(max(start_bytes if start_bytes <= size else 0, size - most_bytes))
        yield file

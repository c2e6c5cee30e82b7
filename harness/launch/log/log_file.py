"""Read a run's log by lines, or the part of it that one attempt wrote."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from harness.errors import EnvironmentProblem

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


@contextmanager
def open_part(log: Path, *, start_bytes: int, most_bytes: int) -> Iterator[BinaryIO]:
    """Open the log where the attempt began, or `most_bytes` before its end where that is later. OSError.

    A log shorter than `start_bytes` was begun anew since, and is read from its own beginning.
    """
    with log.open("rb") as file:
        size = log.stat().st_size
        file.seek(max(start_bytes if start_bytes <= size else 0, size - most_bytes))
        yield file


def read_lines(log: Path, *, most_bytes: int = sys.maxsize) -> Iterator[str]:
    """Read the lines of a log, or of its last `most_bytes` if it is larger. EnvironmentProblem if it cannot be read."""
    try:
        with open_part(log, start_bytes=0, most_bytes=most_bytes) as lines:
            for line in lines:
                yield line.decode(errors="replace")
    except OSError as error:
        raise EnvironmentProblem(f"{log}: cannot read this log: {error.strerror}") from error


def clean(line: str) -> str:
    """Strip terminal escapes and line ends from a line."""
    return (_ANSI.sub("", line) if "\x1b" in line else line).rstrip("\r\n")

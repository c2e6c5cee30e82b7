"""Quote words for a shell script so that they arrive as they were written."""

import shlex
from collections.abc import Iterable, Iterator

RUN_DIR = "${RUN_DIR}"
"""Stands for the run's folder in flags and environment values: known only when the run is opened."""


def quote(word: str) -> str:
    """Quote one shell word: nothing in it is expanded but `${RUN_DIR}`, which stays a variable."""
    pieces = [shlex.quote(piece) if piece else "" for piece in word.split(RUN_DIR)]
    return '"$RUN_DIR"'.join(pieces) or "''"


def array_lines(words: Iterable[str]) -> Iterator[str]:
    """Render the inside of a shell array, a flag with its values a line."""
    line: list[str] = []
    for word in words:
        if word.startswith("--") and line:
            yield "  " + " ".join(line)
            line = []
        line.append(quote(word))
    if line:
        yield "  " + " ".join(line)


def unquotable(word: str) -> str | None:
    """Say why no script can hold a word; None if it can."""
    if "\0" in word:
        return "holds a NUL byte, which no program argument can"
    if "\r" in word:
        return "holds a carriage return, for which sbatch refuses the whole script"
    return None

"""The index as a file: a line that says what it is, and a line of JSON for every run.

A reader finds a whole index or takes it for none: written aside and renamed, with a checksum. JSON loads faster than
the standard library's database, holds nothing that could be run, and needs no locks, which network file systems lack.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from harness.disk import write_whole
from harness.runs.index.traces import Traces

INDEX_VERSION = 1
"""Raised when a column comes to mean something else; new, gone and retyped columns are seen without that."""

_FORMAT = "moe-harness index of runs"


class IndexedRun(NamedTuple):
    """A run's values in the order of the columns, and the traces of the files that they were read from."""

    traces: Traces
    values: Sequence[Any]


type IndexedRuns = Mapping[str, IndexedRun]
"""Runs by the names of their folders."""


def load_index(path: Path, columns: Mapping[str, Any]) -> dict[str, IndexedRun]:
    """The runs of an index; none where there is no index, or it is damaged, of another version or of other columns."""
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        if json.loads(head) != _header(body, columns):
            return {}
        return {name: IndexedRun(traces, values) for name, traces, values in json.loads(body)}
    except (OSError, ValueError, TypeError, RecursionError):
        return {}


def save_index(path: Path, runs: IndexedRuns, columns: Mapping[str, Any]) -> str | None:
    """Write the index whole or not at all; says why it cannot be kept."""
    lines = (json.dumps([name, run.traces, run.values], separators=(",", ":")) for name, run in runs.items())
    body = "[{}]\n".format(",\n".join(lines))
    header = json.dumps(_header(body.encode(), columns))
    try:
        with suppress(FileExistsError):
            path.parent.mkdir(parents=True, mode=0o700)
        write_whole(path, f"{header}\n{body}")
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None


def _header(body: bytes, columns: Mapping[str, Any]) -> dict[str, Any]:
    form = zlib.crc32(json.dumps(columns).encode())
    return {"format": _FORMAT, "version": INDEX_VERSION, "columns": form, "bytes": len(body), "crc32": zlib.crc32(body)}

"""The traces of the files that a run's row was read from: while they are the same, so is the row.

The record is one. A Slurm run's is believed only while the run's own facts say no more (`reconcile/invalidate.py`), so
that these have traces too.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from harness.launch.rundir import RunPaths
from harness.runs.record import RunRecord

type Trace = list[int] | None
"""Inode, size and time of change in ns; None of no file."""

type Traces = dict[str, Trace]
"""By the paths of the files in the run's folder."""


def trace_of(path: str) -> Trace:
    """The trace of a file or folder."""
    try:
        found = os.stat(path)  # noqa: PTH116  a path as an object would double the time of ten thousand
    except (OSError, ValueError):
        return None
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def are_same(folder: str, traces: Mapping[str, Trace]) -> bool:
    """Whether nothing has changed since; not of a run without traces."""
    return bool(traces) and all(trace_of(f"{folder}/{name}") == trace for name, trace in traces.items())


def all_traces(folder: Path) -> Traces:
    """The traces of whatever may change what is known of a run, taken before it is read."""
    paths = RunPaths(folder)
    attempts = [int(name) for name in _names(paths.attempts) if name.isdecimal()]
    facts = [paths.attempts / f"{max(attempts)}/facts"] if attempts else []
    files = (paths.record, paths.finished, paths.log, paths.attempts, *facts)
    return {str(path.relative_to(folder)): trace_of(str(path)) for path in files}


def lasting(traces: Traces, record: RunRecord) -> Traces:
    """Those that count for an ended run: without Slurm the record alone."""
    if record.job.on != "slurm":
        return {name: traces[name] for name in traces if name == RunPaths(Path()).record.name}
    cause = record.error.cause if record.error else None
    ended_well = record.status == "completed"
    unread = {"log"} if cause is None else set()
    return {
        name: trace for name, trace in traces.items() if name not in unread | ({"finished"} if ended_well else set())
    }


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []

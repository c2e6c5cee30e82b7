"""A run's record with what its log states, whatever the run's kind."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.disk import is_file
from harness.launch.log.log_file import read_lines
from harness.launch.rundir import RunPaths
from harness.runs.kind import LogReader
from harness.runs.kinds import KINDS
from harness.runs.record import RunRecord, utc_at, utc_now


@dataclass(frozen=True, kw_only=True)
class LogReading:
    """A record, and the samples of its run's steps; None where no log was read."""

    record: RunRecord
    samples: Sequence[Any] | None = None


def read_log_at(record: RunRecord, path: Path, *, most_bytes: int = sys.maxsize) -> LogReading:
    """The record with what the log at a path states, or the last `most_bytes` of it; as it is where there is none."""
    if not is_file(path):
        return LogReading(record=record)
    reader = reader_of(record)
    for line in read_lines(path, most_bytes=most_bytes):
        reader.feed(line)
    return reading_of(record, reader)


def reader_of(record: RunRecord) -> LogReader:
    """What reads a run's log, with what its record knows that the log may not state."""
    return KINDS[record.kind].reader(record.resolved, record.result)


def reading_of(record: RunRecord, reader: LogReader) -> LogReading:
    """The record with what was read of its log, as far as the run has come."""
    versions, hosts = reader.versions, reader.hosts
    read = replace(
        record,
        versions=record.versions if versions is None else versions,
        hosts=record.hosts if hosts is None else hosts,
        result=reader.result(),
    )
    return LogReading(record=read, samples=reader.samples)


def last_heard(paths: RunPaths) -> str:
    """When a run last wrote to its log; now where there is none."""
    try:
        return utc_at(paths.log.stat().st_mtime)
    except OSError:
        return utc_now()

"""How a run on one node truly stands: failed where its supervisor, who alone writes its end, and its ranks are gone."""

from dataclasses import replace
from pathlib import Path

from harness.launch.processes import processes_of
from harness.launch.supervisor_lock import is_supervised
from harness.runs.log_reading import LogReading, last_heard, read_log_at
from harness.runs.record import RunError
from harness.runs.store import StoredRun
from harness.runs.triage.internal_causes import SUPERVISOR_GONE


def derive_local_status(run: StoredRun) -> LogReading:
    """The record as it should be, with the samples of a run that has ended."""
    record = run.record
    if run.removed or is_supervised(run.paths) is not False or processes_of(Path(run.opened_as)):
        return LogReading(record=record)
    text = f"moe-harness was killed on {record.job.host}, or the machine went down, while it ran."
    cause = replace(SUPERVISOR_GONE, text=text)
    ended = replace(record, status="failed", ended=last_heard(run.paths), error=RunError(cause=cause))
    return read_log_at(ended, run.paths.log)

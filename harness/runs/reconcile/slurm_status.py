"""How a run under Slurm truly stands: by its own facts, and by Slurm's state of its job. Silence is no news."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace

from harness.launch.attempts import AttemptFacts, read_attempts
from harness.launch.rundir import RunPaths
from harness.launch.slurm.job_state import JobState
from harness.launch.slurm.queue import QueueView
from harness.runs.log_reading import LogReading, last_heard, read_log_at
from harness.runs.reconcile.attempt_history import attempts_of
from harness.runs.record import Attempt, RunRecord, Status, epoch_of, utc_at
from harness.runs.store import StoredRun, is_ours
from harness.runs.triage.failure import failure_of, ran_out_of_time

_SHARED_DISK_LAG_S = 5
"""How long what a node wrote last may be unseen here."""

_YOUNG_S = 60
"""How old a run that has never begun must be to count as over where Slurm does not know its job."""

_QUIET_S = 600
"""How long a job that Slurm does not know must have been silent before it counts as over, if it still holds the run."""


def job_of(run: StoredRun, facts: Sequence[AttemptFacts], view: QueueView) -> JobState | None:
    """The run's job, and not another one that got the same id since, or before Slurm's counter began anew."""
    job = view.states.get(run.record.job.job_id or "")
    return job if job and _is_own(job, run, facts) else None


def derive_status(run: StoredRun, view: QueueView) -> tuple[LogReading, JobState | None]:
    """The record as it should be, with the samples of a run that has ended, and Slurm's state of the job."""
    record, facts = run.record, read_attempts(run.paths)
    job = job_of(run, facts, view)
    job_id = record.job.job_id
    if job_id is None or (job is None and not _is_over_without_slurm(run, facts, view)):
        return LogReading(record=record), job
    history = [row for row in view.history.get(job_id, ()) if _is_own(row, run, facts)]
    attempts = attempts_of(facts, job, history, job_id)
    unfinished = replace(record, attempts=attempts, started=attempts[0].started if attempts else None)
    if job is not None and not job.ended:
        return LogReading(record=replace(unfinished, status="submitted" if job.pending else "running")), job
    if job is not None and _may_be_unseen(job, facts):
        return LogReading(record=record), job
    return _ended(unfinished, run.paths, facts, job), job


def _is_own(job: JobState, run: StoredRun, facts: Sequence[AttemptFacts]) -> bool:
    """Whether a job was submitted where the run was: in its folder by a launch, anywhere by hand."""
    if job.work_dir is None:
        return True
    folders = (run.submitted_in.folder, *(it.work_dir for it in facts[-1:] if it.work_dir))
    # Of a folder reached by a link Slurm may tell either path.
    return os.path.realpath(job.work_dir) in map(os.path.realpath, folders)


def _is_over_without_slurm(run: StoredRun, facts: Sequence[AttemptFacts], view: QueueView) -> bool:
    """Whether a run has ended of whose job Slurm says nothing, be it that it has forgotten it or does not answer."""
    if run.paths.finished.exists():
        return True
    if view.unreachable:
        return False
    last = facts[-1] if facts else None
    if last and last.exit_code is not None:
        return True
    if not is_ours(run):  # a stranger is not told of others' jobs where they are private
        return False
    if last is None:
        return time.time() - epoch_of(run.record.created) > _YOUNG_S
    return not (run.paths.owner.exists() and _was_heard_lately(run.paths))


def _was_heard_lately(paths: RunPaths) -> bool:
    try:
        return time.time() - paths.log.stat().st_mtime < _QUIET_S
    except OSError:
        return False


def _may_be_unseen(job: JobState, facts: Sequence[AttemptFacts]) -> bool:
    """Whether the script may have written its end on a disk that shows it late."""
    without_end = bool(facts) and facts[-1].exit_code is None
    return job.state == "FAILED" and without_end and time.time() - (job.ended_s or 0) < _SHARED_DISK_LAG_S


def _ended(record: RunRecord, paths: RunPaths, facts: Sequence[AttemptFacts], job: JobState | None) -> LogReading:
    status = _status(record, paths, facts, job)
    ended = replace(record, status=status, ended=_end(record, paths, job), attempts=_closed(record.attempts, job))
    reading = read_log_at(ended, paths.log)
    if status != "failed":
        return reading
    error = failure_of(reading.record, paths, facts[-1] if facts else None, job)
    return replace(reading, record=replace(reading.record, error=error))


def _status(record: RunRecord, paths: RunPaths, facts: Sequence[AttemptFacts], job: JobState | None) -> Status:
    last = facts[-1] if facts else None
    ended_well = last is not None and last.exit_code == 0
    if paths.finished.exists() or (ended_well and (job is None or job.state == "COMPLETED")):
        return "completed"
    if job and job.state in ("CANCELLED", "REVOKED"):
        return "cancelled"
    if job is None and last and last.signals[-1:] == ("TERM",) and not ran_out_of_time(record, last, job):
        return "cancelled"  # someone's scancel: what else sends TERM, a preemption, starts the job again
    if job and job.state == "COMPLETED" and (last is None or last.exit_code is None):
        return "completed"
    return "failed"


def _closed(attempts: tuple[Attempt, ...], job: JobState | None) -> tuple[Attempt, ...]:
    """The last attempt has ended with its job, whatever it could still write."""
    if not attempts or attempts[-1].ended or job is None or job.ended_s is None:
        return attempts
    return (*attempts[:-1], replace(attempts[-1], ended=utc_at(job.ended_s)))


def _end(record: RunRecord, paths: RunPaths, job: JobState | None) -> str:
    """When it ended: as its script or Slurm says; else when it was last heard of."""
    stated = record.attempts[-1].ended if record.attempts else None
    return stated or (utc_at(job.ended_s) if job and job.ended_s else last_heard(paths))

"""The true record of an unfinished run: from its own facts, its log, and Slurm's view of its job.

An ended run is never judged again, and no run is called ended because an answer was empty.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import EnvironmentProblem
from harness.launch.attempts import AttemptFacts, read_attempts
from harness.launch.job_state import JobState
from harness.launch.lease import is_supervised
from harness.launch.processes import processes_of
from harness.launch.queue import QueueView, ask, find_by_folder
from harness.launch.rundir import RunPaths
from harness.launch.time_limit import parse_time_limit_s
from harness.results.failure import failure_of
from harness.results.record import (
    UNFINISHED,
    Attempt,
    Cause,
    RunError,
    RunRecord,
    Status,
    epoch_of,
    utc_at,
    utc_now,
)
from harness.results.record_file import save
from harness.results.recorder import with_log_at
from harness.results.store import StoredRun, copy_path, load_run, record_path
from harness.results.told_attempts import tell_attempts

_SUBMITTING_S = 60
"""How long a run without a job may still be in the hands of sbatch."""

_SHARED_DISK_LAG_S = 5
"""How long what a node wrote last may be unseen here."""


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Runs as they stand, in the order they were given, and Slurm's answer, with the jobs' reasons for waiting."""

    runs: tuple[StoredRun, ...]
    view: QueueView

    def job_of(self, run: StoredRun) -> JobState | None:
        """Slurm's word on a run's job."""
        return _job_of(run.record, read_attempts(RunPaths(run.folder)), self.view)


def settle_all(runs: Sequence[StoredRun]) -> Settled:
    """Every run as it truly stands; Slurm is asked once for all that have not ended, and not at all if all have."""
    runs = _with_jobs(runs)
    view = _ask([run.record for run in runs if run.record.status in UNFINISHED])
    return Settled(runs=tuple(settle(run, view) for run in runs), view=view)


def settle(run: StoredRun, view: QueueView) -> StoredRun:
    """The run as it stands in Slurm's view and by its own facts; its record is written if that changed it.

    Where it cannot be written, `problem` says why, and the next call writes it.
    """
    if run.record.status not in UNFINISHED:
        return run
    run = replace(run, removed=not record_path(run.folder).is_file())
    return _keep(run, _judge(run, view) if run.record.job.on == "slurm" else _judge_here(run))


def _ask(records: Sequence[RunRecord]) -> QueueView:
    """One view of all jobs, of whatever clusters."""
    clusters: dict[str | None, list[str]] = {}
    for record in records:
        if record.job.job_id:
            clusters.setdefault(record.job.cluster, []).append(record.job.job_id)
    view = QueueView()
    for cluster, job_ids in clusters.items():
        more = ask(job_ids, cluster=cluster)
        view = QueueView(
            states={**view.states, **more.states},
            history={**view.history, **more.history},
            unreachable=view.unreachable or more.unreachable,
        )
    return view


def _with_jobs(runs: Sequence[StoredRun]) -> tuple[StoredRun, ...]:
    """Runs whose submission was cut short, with the jobs that Slurm has in their folders."""
    lost = [run for run in runs if _is_without_job(run.record)]
    if not lost:
        return tuple(runs)
    since = min(epoch_of(run.record.created) for run in lost) - _SUBMITTING_S
    view = find_by_folder([_submitted_in(run.record) for run in lost], since=since)
    return tuple(_adopt(run, view) if run in lost else run for run in runs)


def _adopt(run: StoredRun, view: QueueView) -> StoredRun:
    record = run.record
    found = view.states.get(_submitted_in(record))
    fact = next((it for it in read_attempts(RunPaths(run.folder)) if it.job_id), None)
    if job_id := (found.job_id if found else None) or (fact.job_id if fact else None):
        return _keep(run, replace(record, job=replace(record.job, job_id=job_id)))
    if view.unreachable or _may_be_submitting(record):
        return run
    cause = Cause(
        name="never-submitted",
        text="the launch was interrupted before Slurm took the job",
        change="launch it again",
    )
    return _keep(run, replace(record, status="failed", ended=utc_now(), error=RunError(cause=cause)))


def _is_without_job(record: RunRecord) -> bool:
    return record.status in UNFINISHED and record.job.on == "slurm" and record.job.job_id is None


def _may_be_submitting(record: RunRecord) -> bool:
    return time.time() - epoch_of(record.created) < _SUBMITTING_S or bool(processes_of(Path(_submitted_in(record))))


def _submitted_in(record: RunRecord) -> str:
    return record.paths["root"]


def _job_of(record: RunRecord, facts: Sequence[AttemptFacts], view: QueueView) -> JobState | None:
    """The run's job, and not another one that got the same id since, or before Slurm's counter began anew."""
    job = view.states.get(record.job.job_id or "")
    return job if job and job.work_dir in _work_dirs(record, facts) else None


def _work_dirs(record: RunRecord, facts: Sequence[AttemptFacts]) -> set[str | None]:
    """Where the run's job was submitted: in its folder by a launch, anywhere by hand; None where Slurm does not say."""
    return {None, _submitted_in(record), *(attempt.work_dir for attempt in facts[-1:])}


def _judge(run: StoredRun, view: QueueView) -> RunRecord:
    record = run.record
    paths = RunPaths(run.folder)
    facts = read_attempts(paths)
    job = _job_of(record, facts, view)
    if record.job.job_id is None or (job is None and view.unreachable):
        return record
    own = _work_dirs(record, facts)
    history = [row for row in view.history.get(record.job.job_id, ()) if row.work_dir in own]
    attempts = tell_attempts(facts, job, history, record.job.job_id)
    record = replace(record, attempts=attempts, started=attempts[0].started if attempts else None)
    if job is not None and not job.over:
        return replace(record, status="submitted" if job.waiting else "running")
    if job is not None and _may_be_unseen(job, facts):
        return run.record
    return _ended(record, paths, facts, job)


def _judge_here(run: StoredRun) -> RunRecord:
    """A run on one node: failed if its supervisor, which alone writes its end, is gone and so are its ranks."""
    paths = RunPaths(run.folder)
    supervised = is_supervised(paths)
    if supervised or run.removed:
        return run.record
    last = load_run(run.folder).record  # the supervisor's last deed may have been to write it
    if supervised is None or last.status not in UNFINISHED or processes_of(Path(_submitted_in(run.record))):
        return last
    cause = Cause(
        name="supervisor-gone",
        text=f"moe-harness was killed on {last.job.host}, or the machine went down, while it ran",
        change="launch it again",
    )
    ended = replace(last, status="failed", ended=_last_heard(paths), error=RunError(cause=cause))
    return with_log_at(ended, paths.log)


def _may_be_unseen(job: JobState, facts: Sequence[AttemptFacts]) -> bool:
    """Whether the script may have written its end on a disk that shows it late."""
    told = bool(facts) and facts[-1].exit_code is not None
    return job.state == "FAILED" and bool(facts) and not told and time.time() - (job.ended or 0) < _SHARED_DISK_LAG_S


def _ended(record: RunRecord, paths: RunPaths, facts: Sequence[AttemptFacts], job: JobState | None) -> RunRecord:
    status = _status(record, paths, facts, job)
    ended = replace(record, status=status, ended=_end(record, paths, job), attempts=_closed(record.attempts, job))
    ended = with_log_at(ended, paths.log)
    if status != "failed":
        return ended
    return replace(ended, error=failure_of(ended, paths, facts[-1] if facts else None, job))


def _status(record: RunRecord, paths: RunPaths, facts: Sequence[AttemptFacts], job: JobState | None) -> Status:
    last = facts[-1] if facts else None
    if paths.finished.exists() or (last and last.exit_code == 0):
        return "completed"
    if job and job.state in ("CANCELLED", "REVOKED"):
        return "cancelled"
    if job is None and last and last.signals[-1:] == ("TERM",) and not _ran_out_of_time(record, last):
        return "cancelled"  # someone's scancel: what else sends TERM, a preemption, starts the job again
    if job and job.state == "COMPLETED" and (last is None or last.exit_code is None):
        return "completed"
    return "failed"


def _ran_out_of_time(record: RunRecord, last: AttemptFacts) -> bool:
    """Whether the attempt ended at its time limit."""
    limit_s = parse_time_limit_s(record.resolved.text("RUN_TIME"))
    return bool(last.started and last.ended and last.ended - last.started >= limit_s)


def _closed(attempts: tuple[Attempt, ...], job: JobState | None) -> tuple[Attempt, ...]:
    """The last attempt has ended with its job, whatever it could still write."""
    if not attempts or attempts[-1].ended or job is None or job.ended is None:
        return attempts
    return (*attempts[:-1], replace(attempts[-1], ended=utc_at(job.ended)))


def _end(record: RunRecord, paths: RunPaths, job: JobState | None) -> str:
    """When it ended: as its script or Slurm says; else when it was last heard of."""
    told = record.attempts[-1].ended if record.attempts else None
    return told or (utc_at(job.ended) if job and job.ended else _last_heard(paths))


def _last_heard(paths: RunPaths) -> str:
    try:
        return utc_at(paths.log.stat().st_mtime)
    except OSError:
        return utc_now()


def _keep(run: StoredRun, record: RunRecord) -> StoredRun:
    """The run with that record, written if it is news; a folder that someone removed is made again for it."""
    if record == run.record and not run.removed:
        return run
    try:
        run.folder.mkdir(exist_ok=True)
        save(record, record_path(run.folder))
        if record.status not in UNFINISHED:
            copy_path(run.folder).unlink(missing_ok=True)
    except (EnvironmentProblem, OSError) as problem:
        return replace(run, record=record, problem=str(problem))
    return replace(run, record=record, removed=run.removed, problem=None)

"""A run handed to Slurm so that no crash in between loses it: its record is there before the job is."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from harness.config.provenance import Resolved
from harness.disk import make_shared
from harness.errors import EnvironmentProblem
from harness.launch.run import Run
from harness.launch.rundir import RunPaths
from harness.launch.slurm.command import cluster_name
from harness.launch.slurm.job_state import JobState, SubmittedIn
from harness.launch.slurm.pending_reasons import PendingReason, find_reason
from harness.launch.slurm.queue import ask, find_by_folder
from harness.launch.slurm.submit import Refused, SlurmJob, cancel, submit_script
from harness.runs import recorder
from harness.runs.kind import Prediction
from harness.runs.reconcile.reconcile import reconcile_all
from harness.runs.record import CampaignItem, RunError, RunRecord, epoch_of, utc_now
from harness.runs.record_file import save
from harness.runs.root import named
from harness.runs.samples_file import save_samples
from harness.runs.store import StoredRun, copy_path
from harness.runs.triage.internal_causes import never_starts

PATIENCE_S = 3.0
"""How long a submitted job's initial state is awaited: Slurm's scheduler needs a moment to see what is impossible."""

_POLL_S = 0.25


@dataclass(frozen=True, kw_only=True)
class InitialState:
    """How Slurm says that a job just submitted stands.

    `job` is None if Slurm does not answer, `reason` if the job waits for none that is known. `never_starts` is the
    message on a job that can never start: why, what to change, and whether it was cancelled; None for any other job.
    """

    run: StoredRun
    job: JobState | None
    reason: PendingReason | None
    never_starts: str | None = None


def submit_run(
    run: Run,
    resolved: Resolved,
    *,
    predicted: Prediction = None,
    options: Sequence[str] = (),
    campaign: CampaignItem | None = None,
) -> StoredRun:
    """Submit an opened run, with further options of sbatch; returns the run as it stands then.

    The record is written before sbatch is called, and again with the job's id. EnvironmentProblem says why there is
    no job; nothing is left of the run then, unless Slurm may have taken it all the same.
    """
    (stored,) = _submit_all(
        [run],
        lambda run: recorder.begin(run, resolved, status="submitted", predicted=predicted, campaign=campaign),
        options,
    )
    return stored


def submit_array(
    runs: Sequence[Run], resolved: Resolved, *, campaign: str | None = None, options: Sequence[str] = ()
) -> tuple[StoredRun, ...]:
    """Submit the opened runs of an array as the tasks of one job; returns them as they stand then.

    With a `campaign` each is an item of it, by its task's number. Records and errors are as for `submit_run`.
    """

    def begin(run: Run) -> RunRecord:
        item = CampaignItem(campaign=campaign, item=str(run.task)) if campaign else None
        return recorder.begin(run, resolved, status="submitted", campaign=item)

    return _submit_all(runs, begin, options)


def _submit_all(
    runs: Sequence[Run], begin: Callable[[Run], RunRecord], options: Sequence[str]
) -> tuple[StoredRun, ...]:
    """Submit runs that share one job; `begin` writes the record of each."""
    folders = [run.paths.root for run in runs]
    try:
        records = [begin(run) for run in runs]
        for record, folder in zip(records, folders, strict=True):
            _keep_copy(record, folder)
        job = _submit(runs[0], records[0], options)
    except Refused as refused:
        if refused.may_be_submitted:
            fix = f"whether Slurm took it will be known when it answers: moe-harness runs show {named(folders[0])}"
            raise EnvironmentProblem(f"{refused}\n{fix}; run: {folders[0]}") from refused
        _forget_all(runs)
        raise
    except EnvironmentProblem:  # the disk has no room for a record
        _forget_all(runs)
        raise
    return tuple(_with_job(run, record, job) for run, record in zip(runs, records, strict=True))


def _with_job(run: Run, record: RunRecord, job: SlurmJob) -> StoredRun:
    job_id = job.job_id if run.task is None else f"{job.job_id}_{run.task}"
    record = replace(record, job=replace(record.job, job_id=job_id, cluster=job.cluster))
    with suppress(EnvironmentProblem):  # the job is there: a record without its id finds it again by its folder
        save(record, run.paths.record)
        _keep_copy(record, run.paths.root)
    return StoredRun(folder=run.paths.root, record=record)


def _forget_all(runs: Sequence[Run]) -> None:
    for run in runs:
        forget(run.paths.root)
        if run.submitted_in:
            forget(run.submitted_in)


def await_initial_state(run: StoredRun, *, keep: bool = False, patience_s: float = PATIENCE_S) -> InitialState:
    """Wait until Slurm says that the job runs, or why it is pending; for `patience_s` seconds at most.

    A job that can never start is cancelled, unless `keep`, and its record says so.
    """
    assert run.record.job.job_id is not None
    job = _first_state(run.record.job.job_id, run.record.job.cluster, patience_s)
    reason = find_reason(job.reason) if job and job.pending and job.reason else None
    if job is None or reason is None or not reason.never or keep:
        return InitialState(run=run, job=job, reason=reason)
    cancelled, message = cancel_never_starting(run, job, reason)
    return InitialState(run=cancelled, job=job, reason=reason, never_starts=message)


def cancel_never_starting(run: StoredRun, job: JobState, reason: PendingReason) -> tuple[StoredRun, str]:
    """Cancel a job that can never start; returns the run as it then stands, and a message."""
    why = f"{job.reason}, {reason.meaning}; {reason.fix}"
    if complaint := cancel(job.job_id, cluster=run.record.job.cluster):
        again = f"moe-harness runs cancel {job.job_id} tries again"
        return run, f"job {job.job_id} can never start, and could not be cancelled ({complaint}; {again}): {why}"
    # Of a job that ran before, the record keeps what it came to.
    run = reconcile_all([run]).runs[0] if run.record.attempts else run
    error = RunError(cause=never_starts(reason, job.reason))
    record = replace(run.record, status="cancelled", ended=run.record.ended or utc_now(), error=error)
    ended = replace(run, record=record)
    save_samples(None, record, run.paths)
    save(record, run.paths.record)
    copy_path(run.folder).unlink(missing_ok=True)
    return ended, f"job {job.job_id} could never start, and was cancelled: {why}"


def forget(folder: Path) -> None:
    """Remove the folder and the record's copy of a run that was never submitted."""
    copy_path(folder).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _submit(run: Run, record: RunRecord, options: Sequence[str]) -> SlurmJob:
    """The job; where sbatch's answer leaves open whether there is one, Slurm is asked for the folder."""
    paths = RunPaths(run.submitted_in or run.paths.root)
    try:
        return submit_script(paths, options, is_array=run.task is not None)
    except Refused as refused:
        if not refused.may_be_submitted:
            raise
        where = SubmittedIn(str(paths.root), run.task)
        found = find_by_folder({where: epoch_of(record.created)}).jobs.get(where)
        if found is None:
            raise
        return SlurmJob(job_id=found.job_id.partition("_")[0], cluster=cluster_name())


def _keep_copy(record: RunRecord, folder: Path) -> None:
    path = copy_path(folder)
    try:
        make_shared(path.parent)
    except OSError as error:
        raise EnvironmentProblem(f"{path.parent}: cannot be made ({error.strerror}); mend that") from error
    save(record, path, os.environ)


def _first_state(job_id: str, cluster: str | None, patience_s: float) -> JobState | None:
    deadline = time.monotonic() + patience_s
    while True:
        left_s = max(deadline - time.monotonic(), _POLL_S)
        view = ask([job_id], cluster=cluster, patience_s=left_s)
        job = view.states.get(job_id)
        if view.unreachable or (job and _is_conclusive(job)) or time.monotonic() > deadline:
            return job
        time.sleep(_POLL_S)


def _is_conclusive(job: JobState) -> bool:
    """Whether Slurm has looked at the job closely enough: what it says first is often Priority or PartitionConfig."""
    if not job.pending:
        return True
    if job.reason is None:
        return False
    reason = find_reason(job.reason)
    return reason is None or reason.conclusive

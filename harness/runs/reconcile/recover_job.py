"""Runs whose submission was cut short, and the jobs that Slurm has of them all the same."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.launch.attempts import last_attempt
from harness.launch.processes import processes_of
from harness.launch.slurm.command import cluster_name, is_elsewhere
from harness.launch.slurm.queue import FoundJobs, find_by_folder
from harness.runs.record import UNFINISHED, RunError, RunRecord, epoch_of, utc_now
from harness.runs.store import StoredRun
from harness.runs.triage.internal_causes import NEVER_SUBMITTED

_SUBMITTING_S = 60
"""How long a run without a job may still be in the hands of an sbatch on another machine."""


def find_lost_jobs(runs: Sequence[StoredRun]) -> FoundJobs:
    """What Slurm has in the folders of those runs that have no job."""
    lost = {run.submitted_in: epoch_of(run.record.created) for run in runs if is_without_job(run.record)}
    return find_by_folder(lost) if lost else FoundJobs()


def recovered(run: StoredRun, lost: FoundJobs) -> RunRecord:
    """The record with the job that the run has in Slurm or by its own facts; failed where there is none."""
    record = run.record
    found, fact = lost.jobs.get(run.submitted_in), last_attempt(run.paths)
    if found:
        return replace(record, job=replace(record.job, job_id=found.job_id, cluster=cluster_name()))
    if fact and fact.job_id:
        return replace(record, job=replace(record.job, job_id=fact.job_id, cluster=fact.cluster))
    if lost.unreachable or is_elsewhere(record.job.cluster) or _may_be_submitting(run):
        return record
    return replace(record, status="failed", ended=utc_now(), error=RunError(cause=NEVER_SUBMITTED))


def is_without_job(record: RunRecord) -> bool:
    """Whether a run is under way to Slurm, or was when its launcher died."""
    return record.status in UNFINISHED and record.job.on == "slurm" and record.job.job_id is None


def never_became_a_job(record: RunRecord) -> bool:
    """Whether a run is not known to have become a job: it is without one still, or was found never to have been."""
    cause = record.error.cause if record.error else None
    return is_without_job(record) or (cause is not None and cause.name == NEVER_SUBMITTED.name)


def _may_be_submitting(run: StoredRun) -> bool:
    young = time.time() - epoch_of(run.record.created) < _SUBMITTING_S
    return young or bool(processes_of(Path(run.submitted_in.folder), named="sbatch"))

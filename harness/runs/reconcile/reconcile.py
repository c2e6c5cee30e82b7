"""The true records of unfinished runs, written where they are news.

An ended run keeps its status while nothing contradicts its record, and no run is called ended because an answer
was empty. Several processes may reconcile one run: each derives from what lies on the disk, and writes only over that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.launch.slurm.job_state import JobState
from harness.launch.slurm.queue import QueueView, ask
from harness.runs.reconcile.local_status import derive_local_status
from harness.runs.reconcile.recover_job import find_lost_jobs, is_without_job, recovered
from harness.runs.reconcile.slurm_status import derive_status
from harness.runs.record import UNFINISHED, RunRecord
from harness.runs.record_file import save
from harness.runs.samples_file import save_samples
from harness.runs.store import StoredRun, copy_path, is_ours, reread, stamp_of


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """Runs as they stand, in the order they were given.

    `jobs` are the states of those jobs that Slurm still knows, by the runs' folders; `unreachable` says why it gave no
    answer on some.
    """

    runs: tuple[StoredRun, ...]
    jobs: Mapping[Path, JobState]
    unreachable: str | None

    def job_of(self, run: StoredRun) -> JobState | None:
        """Slurm's state of a run's job."""
        return self.jobs.get(run.folder)


def reconcile_all(runs: Sequence[StoredRun]) -> Reconciled:
    """Every run as it truly stands; Slurm is asked once for all that have not ended, and not at all if all have."""
    runs = [reread(run) for run in runs]
    lost = find_lost_jobs(runs)
    runs = [_keep(run, recovered(run, lost)) if is_without_job(run.record) else run for run in runs]
    views = _views(run.record for run in runs if run.record.status in UNFINISHED)
    reconciled = [reconcile_one(run, views.get(run.record.job.cluster, QueueView())) for run in runs]
    reasons = (lost.unreachable, *(view.unreachable for view in views.values()))
    return Reconciled(
        runs=tuple(run for run, _ in reconciled),
        jobs={run.folder: job for run, job in reconciled if job},
        unreachable=next(filter(None, reasons), None),
    )


def _views(records: Iterable[RunRecord]) -> dict[str | None, QueueView]:
    """Slurm's view of all jobs, by the cluster that has them."""
    clusters: dict[str | None, list[str]] = {}
    for record in records:
        if record.job.job_id:
            clusters.setdefault(record.job.cluster, []).append(record.job.job_id)
    return {cluster: ask(job_ids, cluster=cluster) for cluster, job_ids in clusters.items()}


def reconcile_one(run: StoredRun, view: QueueView) -> tuple[StoredRun, JobState | None]:
    """A run just read, as it stands in Slurm's view and by its own facts; its record is written if that changed it.

    Where it cannot be written, `problem` says why, and the next call writes it. Also Slurm's state of its job.
    """
    if run.record.status not in UNFINISHED:
        return run, None
    try:
        derived, job = derive_status(run, view) if run.record.job.on == "slurm" else (derive_local_status(run), None)
    except (HarnessError, OSError) as problem:  # such as a log, or a folder, that only others may read
        return replace(run, problem=str(problem)), None
    return _keep(run, derived.record, derived.samples), job


def _keep(run: StoredRun, record: RunRecord, samples: Sequence[Any] | None = None) -> StoredRun:
    """The run with that record, written with its samples if it is news; a folder that was removed is made again."""
    if record == run.record and not run.removed and run.problem is None:
        return run
    if not is_ours(run):
        return replace(run, record=record)  # a colleague who looks at it changes nothing
    try:
        if stamp_of(run.paths.record) != run.stamp:
            return reread(run)  # someone wrote it meanwhile, and may have known more
        run.folder.mkdir(exist_ok=True)
        save_samples(samples, record, run.paths)
        save(record, run.paths.record)
        if record.status not in UNFINISHED:
            copy_path(run.folder).unlink(missing_ok=True)
        return replace(run, record=record, problem=None, stamp=stamp_of(run.paths.record))
    except (HarnessError, OSError) as problem:
        return replace(run, record=record, problem=str(problem))

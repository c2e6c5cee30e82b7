"""A run's record through the run's life: begun when its folder opens, finished when its ranks have ended."""

import os
import socket
from dataclasses import replace
from pathlib import Path

from harness.config.provenance import Resolved
from harness.launch.run import Outcome, Run
from harness.launch.rundir import RunPaths
from harness.launch.slurm.command import cluster_name
from harness.runs.kind import LogReader, Prediction
from harness.runs.kinds import KINDS
from harness.runs.log_reading import reading_of
from harness.runs.record import CampaignItem, JobRecord, RunError, RunRecord, Status, utc_now
from harness.runs.record_file import save
from harness.runs.revision import revision_of
from harness.runs.samples_file import save_samples


def begin(
    run: Run,
    resolved: Resolved,
    *,
    status: Status = "running",
    predicted: Prediction = None,
    campaign: CampaignItem | None = None,
) -> RunRecord:
    """Write the record of a run that is about to start, or was submitted, with what was predicted of it."""
    now = utc_now()
    record = RunRecord(
        run_id=run.paths.run_id,
        kind=run.job.kind,
        status=status,
        created=now,
        started=now if status == "running" else None,
        revision=revision_of(Path(__file__).parent),
        resolved=resolved,
        job=JobRecord(
            on=run.job.executor,
            nodes=run.job.resources.nodes,
            gpus_per_node=run.job.resources.ranks_per_node,
            command=tuple(run.job.program.command_in(str(run.paths.root))),
            host=socket.gethostname(),
            cluster=cluster_name() if run.job.executor == "slurm" else None,
            task=run.task,
        ),
        campaign=campaign,
        paths=_paths(run),
        result=KINDS[run.job.kind].initial_result(resolved, predicted),
    )
    save(record, run.paths.record, os.environ)
    return record


def finish(
    paths: RunPaths, record: RunRecord, log: LogReader, outcome: Outcome, *, raised: str | None = None
) -> RunRecord:
    """Write how a run ended and what its log came to, with its samples beside it.

    `raised` is the error text of a run in this very process; ranks leave theirs in the run's folder.
    """
    reading = reading_of(record, log)
    error = _error(paths, record, outcome, raised)
    ended = replace(reading.record, status=outcome.status, ended=utc_now(), error=error)
    try:
        save_samples(reading.samples or (), ended, paths)
    finally:  # also where there is no room for the samples: nobody else will write how the run ended
        save(ended, paths.record, os.environ)
    return ended


def _error(paths: RunPaths, record: RunRecord, outcome: Outcome, raised: str | None) -> RunError | None:
    if outcome.status != "failed":
        return RunError(exit_code=outcome.exit_code) if outcome.exit_code else None
    from harness.runs.triage.failure import failure_here  # imported late: a run that ends well needs no signatures

    return failure_here(record, paths, outcome.exit_code, raised=raised)


def _paths(run: Run) -> dict[str, str]:
    names = ("root", "record", "log", "script", "resolved")
    shared = {"submitted_in": str(run.submitted_in)} if run.submitted_in else {}
    return {name: str(getattr(run.paths, name)) for name in names} | shared

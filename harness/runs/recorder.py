"""A run's record through the run's life: begun when its folder opens, finished when its ranks have ended."""

import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.config.provenance import Resolved
from harness.launch.run import Outcome, Run
from harness.launch.rundir import RunPaths
from harness.launch.slurm.command import cluster_name
from harness.runs.measured import with_log
from harness.runs.record import Job, RunError, RunRecord, Status, SweepPoint, utc_now
from harness.runs.record_file import save
from harness.runs.revision import revision_of
from harness.training.asked import asked_of
from harness.training.log.parser import RunLog


def begin(
    run: Run,
    resolved: Resolved,
    *,
    status: Status = "running",
    predicted: Mapping[str, float] | None = None,
    sweep: SweepPoint | None = None,
) -> RunRecord:
    """Write the record of a run that is about to start, or was submitted, with what was predicted of it."""
    now = utc_now()
    record = RunRecord(
        run_id=run.paths.run_id,
        status=status,
        created=now,
        started=now if status == "running" else None,
        revision=revision_of(Path(__file__).parent),
        resolved=resolved,
        job=Job(
            on=run.job.executor,
            nodes=run.job.resources.nodes,
            gpus_per_node=run.job.resources.ranks_per_node,
            command=tuple(run.job.program.command_in(str(run.paths.root))),
            host=socket.gethostname(),
            cluster=cluster_name() if run.job.executor == "slurm" else None,
        ),
        asked=asked_of(resolved),
        predicted=predicted,
        sweep=sweep,
        paths=_paths(run.paths),
    )
    save(record, run.paths.record, os.environ)
    return record


def finish(paths: RunPaths, record: RunRecord, log: RunLog, outcome: Outcome) -> RunRecord:
    """Write how a run ended and what its log came to."""
    ended = replace(with_log(record, log), status=outcome.status, ended=utc_now(), error=_error(paths, record, outcome))
    save(ended, paths.record, os.environ)
    return ended


def _error(paths: RunPaths, record: RunRecord, outcome: Outcome) -> RunError | None:
    if outcome.status != "failed":
        return RunError(exit_code=outcome.exit_code) if outcome.exit_code else None
    from harness.runs.triage.failure import failure_here  # imported late: a run that ends well needs no signatures

    return failure_here(record, paths, outcome)


def _paths(paths: RunPaths) -> dict[str, str]:
    names = ("root", "record", "log", "script", "resolved")
    return {name: str(getattr(paths, name)) for name in names}

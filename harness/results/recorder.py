"""A run's record through the run's life: begun when its folder opens, finished when its ranks have ended."""

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.arch.model import model_arch
from harness.config.provenance import Resolved
from harness.cost.flops import megatron_flops_per_step
from harness.cost.hardware import find_gpu
from harness.disk import is_file
from harness.errors import ConfigError
from harness.launch.run import Outcome, Run
from harness.launch.rundir import RunPaths
from harness.launch.slurm.command import cluster_name
from harness.results.effective import asked_of, differences
from harness.results.log.parser import LogParser, RunLog, read_log
from harness.results.record import Job, RunError, RunRecord, Status, SweepPoint, utc_at, utc_now
from harness.results.record_file import save
from harness.results.revision import revision_of
from harness.results.stats import Summary, summarise


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
            on=run.spec.place,
            nodes=run.spec.nodes,
            gpus_per_node=run.spec.gpus_per_node,
            command=tuple(run.spec.command_in(str(run.paths.root))),
            host=socket.gethostname(),
            cluster=cluster_name() if run.spec.place == "slurm" else None,
        ),
        asked=asked_of(resolved),
        predicted=predicted,
        sweep=sweep,
        paths=_paths(run.paths),
    )
    save(record, run.paths.record, os.environ)
    return record


def finish(record: RunRecord, log: RunLog, outcome: Outcome) -> RunRecord:
    """Write how a run ended and what its log came to."""
    ended = replace(with_log(record, log), status=outcome.status, ended=utc_now(), error=_error(record, outcome))
    save(ended, Path(record.paths["record"]), os.environ)
    return ended


def _error(record: RunRecord, outcome: Outcome) -> RunError | None:
    if outcome.status != "failed":
        return RunError(exit_code=outcome.exit_code) if outcome.exit_code else None
    from harness.results.triage.failure import failure_here  # imported late: a run that ends well needs no signatures

    return failure_here(record, RunPaths(Path(record.paths["root"])), outcome)


def with_log_at(record: RunRecord, path: Path, *, most_bytes: int = sys.maxsize) -> RunRecord:
    """The record with what the log at a path states, or the last `most_bytes` of it; as it is where there is none."""
    if not is_file(path):
        return record
    return with_log(record, read_log(path, parser_of(record), most_bytes=most_bytes))


def last_heard(paths: RunPaths) -> str:
    """When a run last wrote to its log; now where there is none."""
    try:
        return utc_at(paths.log.stat().st_mtime)
    except OSError:
        return utc_now()


def parser_of(record: RunRecord) -> LogParser:
    """What reads a run's log, with what its record knows that the log may not state."""
    return LogParser(seq_len=record.seq_len, world_size=record.asked.world_size)


def with_log(record: RunRecord, log: RunLog) -> RunRecord:
    """The record with what its log states, as far as the run has come."""
    stated = log.in_effect
    return replace(
        record,
        versions=stated.versions if stated else record.versions,
        hosts=stated.hosts if stated else record.hosts,
        in_effect=stated,
        differences=differences(record.asked, stated.setup) if stated else (),
        samples=log.samples,
        summary=_summary(record, log),
    )


def _summary(record: RunRecord, log: RunLog) -> Summary:
    stated = log.in_effect
    gpu = find_gpu(stated.gpu) if stated and stated.gpu else None
    precision = (stated.setup.precision if stated else None) or record.asked.precision
    return summarise(
        log,
        world_size=record.asked.world_size,
        seq_len=record.seq_len,
        flops_per_step=_flops_per_step(record.resolved, log),
        peak_flops_per_gpu=gpu.peak(precision) if gpu and precision else None,
    )


def _flops_per_step(resolved: Resolved, log: RunLog) -> float | None:
    """Our own count, of the last global batch; None for an architecture that it does not cover."""
    flags = resolved.megatron_args
    sequences = log.samples[-1].global_batch_size if log.samples else None
    try:
        arch = model_arch(flags, resolved.text("MODEL"))
    except ConfigError:
        return None
    return megatron_flops_per_step(
        arch, sequences=sequences or flags.integer("--global-batch-size"), seq_len=flags.integer("--seq-length")
    )


def _paths(paths: RunPaths) -> dict[str, str]:
    names = ("root", "record", "log", "script", "resolved")
    return {name: str(getattr(paths, name)) for name in names}

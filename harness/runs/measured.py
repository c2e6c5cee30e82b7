"""A run's record with what its log states: who ran, what was in effect, each step, and the figures they come to."""

import sys
from dataclasses import replace
from pathlib import Path

from harness.arch.model import model_arch
from harness.config.provenance import Resolved
from harness.cost.flops import megatron_flops_per_step
from harness.cost.hardware import find_gpu
from harness.disk import is_file
from harness.errors import ConfigError
from harness.launch.rundir import RunPaths
from harness.runs.record import RunRecord, utc_at, utc_now
from harness.training.effective import differences
from harness.training.log.parser import LogParser, RunLog, read_log
from harness.training.summary import Summary, summarise


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

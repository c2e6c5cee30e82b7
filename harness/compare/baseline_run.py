"""What a training run measured, as a baseline keeps it: step times, losses by step, memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from harness.errors import ConfigError
from harness.runs.json_codec import Mismatch, decode
from harness.runs.record import UNFINISHED, RunRecord, Status
from harness.runs.samples_file import load_samples
from harness.runs.store import StoredRun
from harness.training.log.samples import StepSample
from harness.training.result import training_result
from harness.training.summary import nan_steps, window

MOST_STEPS = 1000
"""Of a run's step times the last so many are kept: more would show differences that nobody gates on."""

MOST_LOSSES = 500
"""Of a run's losses so many are kept, evenly spaced, and the last one."""


@dataclass(frozen=True, kw_only=True)
class BaselineRun:
    """The figures of one run, kept in a baseline or judged by one; `step_s` of the steps that count for speed.

    `losses` holds finite losses by the number of the step, as JSON has keys: texts. `nan_steps` counts the steps whose
    loss or gradient norm was not finite, the first of which is `first_nan`. `peak_memory_bytes` is the fullest rank's,
    of the kind `peak_memory_kind`; None where nobody measured it.
    """

    run_id: str
    status: Status
    step_s: tuple[float, ...]
    losses: Mapping[str, float]
    nan_steps: int = 0
    first_nan: int | None = None
    peak_memory_bytes: int | None = None
    peak_memory_kind: str | None = None
    cause: str | None = None


def measure(run: StoredRun) -> BaselineRun:
    """Read a training run that has ended. ConfigError for one that is not, UnreadableSamples."""
    record = run.record
    refuse_unmeasured(record)
    samples = _samples(run)
    result = training_result(record.result)
    summary = result.summary if result else None
    not_finite = [sample for sample in samples if nan_steps(sample)]
    return BaselineRun(
        run_id=record.run_id,
        status=record.status,
        step_s=tuple(_short(sample.step_s) for sample in window(samples)[-MOST_STEPS:]),
        losses=_thinned({s.iteration: s.loss for s in samples if s.loss is not None and isfinite(s.loss)}),
        nan_steps=sum(nan_steps(sample) for sample in not_finite),
        first_nan=not_finite[0].iteration if not_finite else None,
        peak_memory_bytes=summary.peak_memory_bytes if summary else None,
        peak_memory_kind=summary.peak_memory_kind if summary else None,
        cause=_cause(record),
    )


def refuse_unmeasured(record: RunRecord) -> None:
    """ConfigError for a run of another kind than training, and for one that still goes on."""
    if record.kind != "training":
        raise ConfigError(f"{record.run_id}: this is a run of kind {record.kind}; only training runs have step times")
    if record.status in UNFINISHED:
        raise ConfigError(
            f"{record.run_id}: this run is still going ({record.status}); wait for its end:"
            f" moe-harness runs watch {record.run_id}"
        )


def _cause(record: RunRecord) -> str | None:
    """Why it failed, in a few words; None where it did not, or nobody knows."""
    error = record.error
    if error is None:
        return None
    return error.cause.name if error.cause else f"exit code {error.exit_code}" if error.exit_code is not None else None


def _samples(run: StoredRun) -> Sequence[StepSample]:
    values: list[Any] = load_samples(run.paths)
    try:
        return [decode(StepSample, value) for value in values]
    except Mismatch as mismatch:
        raise ConfigError(f"{run.paths.samples}: these samples are damaged: {mismatch}") from mismatch


def _thinned(losses: Mapping[int, float]) -> dict[str, float]:
    """At most MOST_LOSSES of them at steps that other runs keep too, whatever their length: multiples of 1, 2, 4, …"""
    if not losses:
        return {}
    last, stride = max(losses), 1
    while sum(step % stride == 0 for step in losses) > MOST_LOSSES:
        stride *= 2
    return {str(step): _short(loss) for step, loss in losses.items() if step % stride == 0 or step == last}


def _short(value: float) -> float:
    """Seven digits: more than a log prints."""
    return float(f"{value:.7g}")

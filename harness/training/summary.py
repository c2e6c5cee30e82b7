"""Summarise a run's samples. Pure functions; a figure that cannot be known is None."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from harness.training.log.samples import StepSample
from harness.units import TERA

if TYPE_CHECKING:  # whoever reads records starts faster without the parser of logs
    from harness.training.log.parser import RunLog

WINDOW_RULE = (
    "of each launch the first tenth of its log lines, rounded up, and at least two are warm-up; "
    "of the rest, the lines with the last line's global batch size count"
)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of a run. Step times and rates are those of the window that `window_rule` cuts out; the rest, of all.

    A first or last loss that is None though there are steps was NaN: Megatron leaves a NaN loss out of its line.
    `mfu` divides the model FLOP/s by the GPU's dense peak for the precision that was used.
    """

    window_rule: str
    first_iteration: int | None  # of the window
    last_iteration: int | None
    n_used: int
    n_dropped: int
    median_s: float | None
    p05_s: float | None
    p95_s: float | None
    tokens_per_s: float | None
    tokens_per_s_per_gpu: float | None
    tflops_per_gpu_printed: float | None  # the median of what Megatron printed
    tflops_per_gpu: float | None  # flops_per_step over the median step time
    flops_per_step: float | None
    peak_flops_per_gpu: float | None
    mfu: float | None
    peak_memory_bytes: int | None  # of the fullest rank
    peak_memory_kind: str | None
    loss_first: float | None
    loss_last: float | None
    validation_loss: float | None
    skipped: int
    nan: int
    restarts: int


def window(samples: Sequence[StepSample]) -> tuple[StepSample, ...]:
    """The samples that count for speed, by WINDOW_RULE.

    Two lines at least, for Megatron from 0.16 on leaves the first step's start-up in its second line; and one
    global batch size, for a step of a smaller batch, while it ramps up, is another step.
    """
    counted: list[StepSample] = []
    for _, group in groupby(samples, key=lambda sample: sample.launch):
        launch = list(group)
        counted += launch[max(2, math.ceil(len(launch) / 10)) :]
    return tuple(sample for sample in counted if sample.global_batch_size == counted[-1].global_batch_size)


def summarise(
    log: "RunLog",
    *,
    world_size: int | None = None,
    seq_len: int | None = None,
    flops_per_step: float | None = None,
    peak_flops_per_gpu: float | None = None,
) -> Summary:
    """Summarise a log.

    `flops_per_step` counts all ranks' work on one global batch; without it, what the log states is taken. The world
    size that the log states is the true one; `world_size` is for a log that states none.
    """
    used = window(log.samples)
    stated = log.in_effect
    world_size = (stated.setup.world_size if stated else None) or world_size
    flops_per_step = flops_per_step or (stated.flops_per_step if stated else None)
    median_s = _median(sample.step_s for sample in used)
    p05_s, p95_s = spread([sample.step_s for sample in used])
    tokens = used[-1].global_batch_size * seq_len if used and used[-1].global_batch_size and seq_len else None
    tokens_per_s = _ratio(tokens, median_s)
    flops_per_s_per_gpu = _ratio(_ratio(flops_per_step, median_s), world_size)
    memory_bytes, memory_kind = peak_memory(log)
    trained = [sample for sample in log.samples if sample.loss is not None or not sample.skipped]
    return Summary(
        window_rule=WINDOW_RULE,
        first_iteration=used[0].iteration if used else None,
        last_iteration=used[-1].iteration if used else None,
        n_used=len(used),
        n_dropped=len(log.samples) - len(used),
        median_s=median_s,
        p05_s=p05_s,
        p95_s=p95_s,
        tokens_per_s=tokens_per_s,
        tokens_per_s_per_gpu=_ratio(tokens_per_s, world_size),
        tflops_per_gpu_printed=_median(sample.tflops_per_gpu for sample in used),
        tflops_per_gpu=_ratio(flops_per_s_per_gpu, TERA),
        flops_per_step=flops_per_step,
        peak_flops_per_gpu=peak_flops_per_gpu,
        mfu=_ratio(flops_per_s_per_gpu, peak_flops_per_gpu),
        peak_memory_bytes=memory_bytes,
        peak_memory_kind=memory_kind,
        loss_first=trained[0].loss if trained else None,
        loss_last=trained[-1].loss if trained else None,
        validation_loss=next((it.loss for it in reversed(log.validations) if it.split == "validation"), None),
        skipped=sum(sample.skipped for sample in log.samples),
        nan=sum(nan_steps(sample) for sample in log.samples),
        restarts=log.restarts,
    )


def spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The 5th and 95th percentiles, interpolated between neighbours; of one value, that value."""
    if len(values) < 2:
        return (values[0], values[0]) if values else (None, None)
    from statistics import quantiles  # imported late: whoever lists runs sums none up

    cut_points = quantiles(values, n=20, method="inclusive")
    return cut_points[0], cut_points[-1]


def nan_steps(sample: StepSample) -> int:
    """The number of NaN steps that a line states; one if its loss or gradient norm is not finite and it states none."""
    shown = (sample.loss, *sample.mtp_losses, sample.grad_norm)
    return sample.nan or int(any(value is not None and not math.isfinite(value) for value in shown))


def peak_memory(log: "RunLog") -> tuple[int | None, str | None]:
    """The peak memory of the fullest rank, and its kind: the engine's own figure, or else Megatron's lines.

    Megatron's lines count CUDA memory alone: on CPU ranks they say 0, and that is no figure.
    """
    if log.peak_memory:
        return max(log.peak_memory.per_rank_bytes), log.peak_memory.kind
    on_gpu = max((report.max_allocated_bytes for report in log.memory), default=0)
    return (on_gpu, "cuda_allocated") if on_gpu else (None, None)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    from statistics import median  # imported late: whoever lists runs sums none up

    return median(known)


def _ratio(numerator: float | None, denominator: float | None) -> float | None:
    return numerator / denominator if numerator is not None and denominator else None

"""Show the result of a training run: as rows, in the list of runs, and as data."""

from collections.abc import Callable, Mapping

from harness.report.text.kind_view import KindView
from harness.report.text.plain_table import MISSING, show_known
from harness.training.result import TrainingResult
from harness.training.summary import Summary
from harness.units import TERA, show_bytes, show_seconds

_PREDICTED: Mapping[str, Callable[[float], str]] = {
    "step_time_s": show_seconds,
    "tokens_per_s_per_gpu": "{:,.0f} tokens/s/GPU".format,
    "tflops_per_gpu": "{:.4g} TFLOP/s/GPU".format,
    "peak_memory_bytes": show_bytes,
}
"""The formats of the predicted figures."""


def show_apart(predicted: float | None, measured: float | None) -> str:
    """` (-3.1%)`: how far a prediction is from what was measured; nothing where one of them is not known."""
    return f" ({predicted / measured - 1:+.1%})" if predicted and measured else ""


def show_tflops(tflops_per_gpu: float | None) -> str:
    """As computed from our FLOPs count; small figures, as CPU ranks have them, keep three digits."""
    small = tflops_per_gpu is not None and tflops_per_gpu < 1
    return show_known(tflops_per_gpu, ("{:.3g}" if small else "{:.1f}").format)


def _rows(result: TrainingResult) -> list[tuple[str, str]]:
    if result.summary is None:
        return [("results", MISSING), *_predicted(result)]
    return [*_figures(result, result.summary), *_oddities(result)]


def _figures(result: TrainingResult, summary: Summary) -> list[tuple[str, str]]:
    tokens = show_known(summary.tokens_per_s_per_gpu, "{:,.0f}".format)
    losses = (show_known(loss, "{:.4f}".format) for loss in (summary.loss_first, summary.loss_last))
    rows = [
        ("ran on", _machine(result)),
        ("step time", _step_time(summary) + _beside(result, "step_time_s", summary.median_s)),
        ("tokens/s", show_known(summary.tokens_per_s, "{:,.0f}".format)),
        ("tokens/s/GPU", tokens + _beside(result, "tokens_per_s_per_gpu", summary.tokens_per_s_per_gpu)),
        ("TFLOP/s/GPU, printed by Megatron", show_known(summary.tflops_per_gpu_printed, "{:.1f}".format)),
        (
            "TFLOP/s/GPU, computed",
            show_tflops(summary.tflops_per_gpu) + _beside(result, "tflops_per_gpu", summary.tflops_per_gpu),
        ),
        ("MFU", _mfu(summary)),
        ("peak memory", _memory(summary) + _beside(result, "peak_memory_bytes", summary.peak_memory_bytes)),
        ("loss", " → ".join(losses)),
        ("log lines", _lines(summary)),
        ("skipped / NaN steps", f"{summary.skipped} / {summary.nan}"),
    ]
    if summary.validation_loss is not None:
        rows.append(("validation loss", show_known(summary.validation_loss, "{:.4f}".format)))
    if summary.restarts:
        rows.append(("restarts", str(summary.restarts)))
    return rows


def _oddities(result: TrainingResult) -> list[tuple[str, str]]:
    """Rows for what was not in effect as asked, and for what differs between the nodes."""
    mixed = result.in_effect.mixed if result.in_effect else ()
    return [
        *(("not as asked", str(difference)) for difference in result.differences),
        *(("nodes differ", str(mixture)) for mixture in mixed),
    ]


def _predicted(result: TrainingResult) -> list[tuple[str, str]]:
    """Rows for the prediction of a run without results."""
    figures = result.predicted or {}
    known = [show(figures[name]) for name, show in _PREDICTED.items() if name in figures]
    return [("predicted", ", ".join(known))] if known else []


def _beside(result: TrainingResult, name: str, measured: float | None) -> str:
    """`; predicted 27.23 s (-3.1%)`, or nothing if nothing was."""
    value = (result.predicted or {}).get(name)
    if value is None:
        return ""
    return f"; predicted {_PREDICTED[name](value)}{show_apart(value, measured)}"


def _machine(result: TrainingResult) -> str:
    stated = result.in_effect
    device = (stated.gpu or stated.device) if stated else None
    return f"{show_known(result.world_size, str)} ranks, {device or MISSING}"


def _step_time(summary: Summary) -> str:
    if summary.median_s is None:
        return MISSING
    median, low, high = (show_known(it, show_seconds) for it in (summary.median_s, summary.p05_s, summary.p95_s))
    return f"{median} [{low} to {high}] (median [p05 to p95])"


def _mfu(summary: Summary) -> str:
    if summary.mfu is not None and summary.peak_flops_per_gpu is not None:
        return f"{summary.mfu:.1%} of {summary.peak_flops_per_gpu / TERA:,.0f} TFLOP/s dense"
    if summary.n_used == 0:
        return f"{MISSING} (no step after warm-up)"
    if summary.peak_flops_per_gpu is None:
        return f"{MISSING} (no peak is known for this device and precision)"
    return f"{MISSING} (the FLOPs of a step are not known)"


def _memory(summary: Summary) -> str:
    kinds = {"rss": "resident memory", "cuda_allocated": "allocated on the GPU"}
    if summary.peak_memory_bytes is None or summary.peak_memory_kind is None:
        return MISSING
    kind = kinds.get(summary.peak_memory_kind, summary.peak_memory_kind)
    return f"{show_bytes(summary.peak_memory_bytes)} ({kind}, fullest rank)"


def _lines(summary: Summary) -> str:
    if summary.n_used == 0:
        return f"0 used, {summary.n_dropped} dropped (warm-up, batch ramp-up)"
    steps = f"iterations {summary.first_iteration} to {summary.last_iteration}"
    return f"{summary.n_used} used ({steps}), {summary.n_dropped} dropped (warm-up, batch ramp-up)"


TRAINING_VIEW = KindView(
    rows=_rows, data=("step_time_s", "tokens_per_s_per_gpu", "tflops_per_gpu", "peak_memory_bytes", "loss")
)

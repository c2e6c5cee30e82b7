"""Plain-text tables for the terminal. A figure that is not known is shown as a dash."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from harness.report.text.plain_table import MISSING, plain_table
from harness.runs.record import Attempt, RunRecord
from harness.training.summary import Summary
from harness.units import TERA, show_bytes, show_seconds


def show_summary(record: RunRecord, job: str | None = None) -> str:
    """The table of results that ends a run; `job` is what Slurm says of it where it has not ended."""
    rows = [("run", record.run_id), ("status", record.status), *_job(record, job)]
    figures = [("results", MISSING), *_foreseen(record)] if record.summary is None else _figures(record, record.summary)
    return plain_table([*rows, *figures, *_attempts(record.attempts), *_cause(record)])


def _job(record: RunRecord, said: str | None) -> list[tuple[str, str]]:
    """The Slurm job, where there is one."""
    if record.job.job_id is None:
        return []
    cluster = f" on {record.job.cluster}" if record.job.cluster else ""
    return [("job", f"{record.job.job_id}{cluster}{f', {said}' if said else ''}")]


def _attempts(attempts: Sequence[Attempt]) -> list[tuple[str, str]]:
    """Every attempt where there is something to tell: more than one, or one that ended badly."""
    if len(attempts) == 1 and attempts[0].state in ("COMPLETED", "RUNNING"):
        return []
    from harness.report.text.job import show_attempt

    return [(f"attempt {attempt.number}", show_attempt(attempt)) for attempt in attempts]


def _cause(record: RunRecord) -> list[tuple[str, str]]:
    if record.error is None:
        return []
    from harness.report.text.job import show_cause

    return list(show_cause(record))


def _figures(record: RunRecord, summary: Summary) -> list[tuple[str, str]]:
    rows = [
        ("ran on", _machine(record)),
        ("step time", _step_time(summary) + _beside(record, "step_time_s", summary.median_s)),
        ("tokens/s", show_known(summary.tokens_per_s, "{:,.0f}".format)),
        (
            "tokens/s/GPU",
            show_known(summary.tokens_per_s_per_gpu, "{:,.0f}".format)
            + _beside(record, "tokens_per_s_per_gpu", summary.tokens_per_s_per_gpu),
        ),
        ("TFLOP/s/GPU, printed by Megatron", show_known(summary.tflops_per_gpu_printed, "{:.1f}".format)),
        ("TFLOP/s/GPU, computed", show_tflops(summary) + _beside(record, "tflops_per_gpu", summary.tflops_per_gpu)),
        ("MFU", _mfu(summary)),
        ("peak memory", _memory(summary) + _beside(record, "peak_memory_bytes", summary.peak_memory_bytes)),
        (
            "loss",
            f"{show_known(summary.loss_first, '{:.4f}'.format)} → {show_known(summary.loss_last, '{:.4f}'.format)}",
        ),
        ("log lines", _lines(summary)),
        ("skipped / NaN steps", f"{summary.skipped} / {summary.nan}"),
    ]
    if summary.validation_loss is not None:
        rows.append(("validation loss", show_known(summary.validation_loss, "{:.4f}".format)))
    if summary.restarts:
        rows.append(("restarts", str(summary.restarts)))
    rows += [("not as asked", str(difference)) for difference in record.differences]
    if record.in_effect:
        rows += [("nodes differ", str(mixture)) for mixture in record.in_effect.mixed]
    return rows


def show_runs(records: Iterable[RunRecord], waiting: Mapping[str, str] | None = None) -> str:
    """One row a run; `waiting` says by run id why a submitted one waits."""
    headers = ("run", "status", "model", "GPUs", "step time", "tokens/s/GPU", "TFLOP/s/GPU", "loss")
    return plain_table((_run_row(record, (waiting or {}).get(record.run_id)) for record in records), headers)


def _run_row(record: RunRecord, why: str | None) -> tuple[str, ...]:
    summary = record.summary
    figures = (MISSING,) * 4
    if summary:
        figures = (
            show_known(summary.median_s, show_seconds),
            show_known(summary.tokens_per_s_per_gpu, "{:,.0f}".format),
            show_tflops(summary),
            show_known(summary.loss_last, "{:.4f}".format),
        )
    return (
        record.run_id,
        f"{record.status} ({why})" if why else record.status,
        record.resolved.text("MODEL") or MISSING,
        show_known(_world_size(record), str),
        *figures,
    )


_FIGURES: Mapping[str, Callable[[float], str]] = {
    "step_time_s": show_seconds,
    "tokens_per_s_per_gpu": "{:,.0f} tokens/s/GPU".format,
    "tflops_per_gpu": "{:.4g} TFLOP/s/GPU".format,
    "peak_memory_bytes": show_bytes,
}
"""How the predicted figures of a record are shown."""


def _foreseen(record: RunRecord) -> list[tuple[str, str]]:
    """What was predicted of a run that has no results."""
    figures = record.predicted or {}
    known = [show(figures[name]) for name, show in _FIGURES.items() if name in figures]
    return [("predicted", ", ".join(known))] if known else []


def _beside(record: RunRecord, name: str, measured: float | None) -> str:
    """`; predicted 27.23 s (-3.1%)`, or nothing if nothing was."""
    value = (record.predicted or {}).get(name)
    if value is None:
        return ""
    return f"; predicted {_FIGURES[name](value)}{show_apart(value, measured)}"


def show_apart(predicted: float | None, measured: float | None) -> str:
    """` (-3.1%)`: how far a prediction is from what was measured; nothing where one of them is not known."""
    return f" ({predicted / measured - 1:+.1%})" if predicted and measured else ""


def _machine(record: RunRecord) -> str:
    stated = record.in_effect
    ranks = _world_size(record)
    device = (stated.gpu or stated.device) if stated else None
    return f"{show_known(ranks, str)} ranks, {device or MISSING}"


def _world_size(record: RunRecord) -> int | None:
    """What the log states, and else what was asked for."""
    return (record.in_effect.setup.world_size if record.in_effect else None) or record.asked.world_size


def _step_time(summary: Summary) -> str:
    if summary.median_s is None:
        return MISSING
    median, low, high = (show_known(it, show_seconds) for it in (summary.median_s, summary.p05_s, summary.p95_s))
    return f"{median} [{low} to {high}] (median [p05 to p95])"


def show_tflops(summary: Summary) -> str:
    """As computed from our FLOPs count; small figures, as CPU ranks have them, keep three digits."""
    small = summary.tflops_per_gpu is not None and summary.tflops_per_gpu < 1
    return show_known(summary.tflops_per_gpu, ("{:.3g}" if small else "{:.1f}").format)


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


def show_known(value: float | None, show: Callable[[float], str]) -> str:
    """A figure, or a dash where it is not known."""
    return MISSING if value is None else show(value)

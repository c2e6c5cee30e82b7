"""Format a sweep as tables: the points to run and their cost, those refused, and the results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.launch.gpu_hours import gpu_hours
from harness.report.text.plain_table import MISSING, plain_table, show_known
from harness.report.text.run_data import run_data
from harness.report.text.training import show_apart, show_tflops
from harness.runs.campaign.item import Item
from harness.runs.campaign.repeats import REPEAT
from harness.runs.record import RunRecord
from harness.runs.store import StoredRun
from harness.training.result import training_result
from harness.training.summary import Summary
from harness.units import show_bytes, show_hours, show_seconds

BEST = "*"


@dataclass(frozen=True, kw_only=True)
class PointPreview:
    """A point before it runs: its swept values, its newest run if it has one, and whether it is to run now.

    GPU-hours are those of the time limit; None of anything is not known.
    """

    point: str
    values: Mapping[str, str]
    nodes: int
    gpus: int
    time_limit: str
    predicted: Mapping[str, float] | None
    gpu_hours: float | None
    predicted_gpu_hours: float | None
    run: StoredRun | None
    to_run: bool

    @property
    def now(self) -> str:
        """Whether it is to run now, and the status of its run."""
        if self.run is None:
            return "to run"
        status = f"{self.run.record.status}: {self.run.record.run_id}"
        return f"to run again, {status}" if self.to_run else status


@dataclass(frozen=True, kw_only=True)
class PointResult:
    """A point and its newest run, None where it has none."""

    point: str
    values: Mapping[str, str]
    run: StoredRun | None

    @property
    def record(self) -> RunRecord | None:
        """The run's."""
        return self.run.record if self.run else None


def point_preview(item: Item, run: StoredRun | None, *, to_run: bool) -> PointPreview:
    """The row of an item, before any that is to run does; `run` is the newest that it has."""
    job, predicted = item.rendered.job, item.predicted
    gpus, step_s = job.resources.ranks, (predicted or {}).get("step_time_s")
    steps = item.resolved.megatron_args.integer("--train-iters")
    on_slurm = job.executor == "slurm"
    return PointPreview(
        point=item.name,
        values=item.values,
        nodes=job.resources.nodes,
        gpus=gpus,
        time_limit=item.resolved.text("RUN_TIME"),
        predicted=predicted,
        gpu_hours=gpu_hours(item.resolved) if on_slurm else None,
        predicted_gpu_hours=step_s * steps * gpus / 3600 if step_s and steps and on_slurm else None,
        run=run,
        to_run=to_run,
    )


def show_preview(swept: Sequence[str], jobs: Sequence[PointPreview]) -> str:
    """One row a point, in the sweep's order."""
    headers = (*swept, "nodes", "GPUs", "time limit", "predicted step", "memory", "GPU-hours at most", "predicted", "")
    rows = [
        (
            *(job.values[name] for name in swept),
            str(job.nodes),
            str(job.gpus),
            job.time_limit,
            show_known((job.predicted or {}).get("step_time_s"), show_seconds),
            show_known((job.predicted or {}).get("peak_memory_bytes"), show_bytes),
            show_known(job.gpu_hours, show_hours),
            show_known(job.predicted_gpu_hours, show_hours),
            job.now,
        )
        for job in jobs
    ]
    known = [at for at in range(len(headers)) if any(row[at] != MISSING for row in rows)]
    return plain_table([[row[at] for at in known] for row in rows], [headers[at] for at in known])


def preview_data(jobs: Sequence[PointPreview]) -> list[dict[str, Any]]:
    """The same as JSON data: each point with its newest run, null where it has none; bytes, seconds and hours."""
    return [
        {
            "point": job.point,
            "settings": dict(job.values),
            "run": run_data(job.run) if job.run else None,
            "to_run": job.to_run,
            "nodes": job.nodes,
            "ranks": job.gpus,
            "time_limit": job.time_limit,
            "gpu_hours": job.gpu_hours,
            "predicted_gpu_hours": job.predicted_gpu_hours,
            "predicted": job.predicted,
        }
        for job in jobs
    ]


def show_cost(jobs: Sequence[PointPreview]) -> str:
    """The cost of all jobs together."""
    limits = [job.gpu_hours for job in jobs if job.gpu_hours is not None]
    text = f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'} to run"
    if limits:
        text += f", at most {show_hours(sum(limits))} GPU-hours by their time limits"
    known = [job.predicted_gpu_hours for job in jobs if job.predicted_gpu_hours is not None]
    if not known:
        return text
    of = "" if len(known) == len(jobs) else f" for {len(known)} of them"
    return f"{text}; predicted {show_hours(sum(known))}{of}, without start-up"


def show_refused(refused: Mapping[str, Sequence[str]]) -> str:
    """The points that cannot run, each reason a row."""
    rows = [("" if at else point, why) for point, reasons in refused.items() for at, why in enumerate(reasons)]
    return f"{len(refused)} refused:\n{plain_table(rows)}"


def show_results(swept: Sequence[str], results: Sequence[PointResult]) -> str:
    """One row a point; the fastest of each model and sequence length has a star."""
    best = best_points(results)
    headers = ("", *swept, "status", "step time", "predicted", "tokens/s/GPU", "TFLOP/s/GPU", "memory", "loss", "run")
    rows = [
        (BEST if it.point in best else "", *(it.values[name] for name in swept), *_figures(it.record)) for it in results
    ]
    lines = [plain_table(rows, headers)]
    if best:
        lines.append(f"{BEST} most tokens/s/GPU of a model and sequence length")
    lines += [f"{it.point}: {_cause(it.record)}" for it in results if it.record and _cause(it.record)]
    return "\n".join(lines)


def results_data(results: Sequence[PointResult]) -> list[dict[str, Any]]:
    """The same as JSON data: each point with its run, null where it has none."""
    best = best_points(results)
    return [
        {
            "point": it.point,
            "settings": dict(it.values),
            "run": run_data(it.run) if it.run else None,
            "best": it.point in best,
        }
        for it in results
    ]


def best_points(results: Sequence[PointResult]) -> set[str]:
    """The fastest completed point of each model and sequence length of which there are two or more.

    None of repeats: the fastest of the same is no better.
    """
    if any(REPEAT in it.values for it in results):
        return set()
    groups: dict[tuple[str, int], list[tuple[float, str]]] = {}
    for it in results:
        summary = _summary(it.record) if it.record and it.record.status == "completed" else None
        if it.record and summary and summary.tokens_per_s_per_gpu:
            resolved = it.record.resolved
            key = (resolved.text("MODEL"), resolved.megatron_args.integer("--seq-length"))
            groups.setdefault(key, []).append((summary.tokens_per_s_per_gpu, it.point))
    return {max(group)[1] for group in groups.values() if len(group) > 1}


def _figures(record: RunRecord | None) -> tuple[str, ...]:
    if record is None:
        return ("not run", *(MISSING,) * 7)
    summary = _summary(record)
    if summary is None:
        return (
            record.status,
            MISSING,
            show_known(_predicted_step_s(record), show_seconds),
            *(MISSING,) * 4,
            record.run_id,
        )
    return (
        record.status,
        show_known(summary.median_s, show_seconds),
        _predicted(record, summary.median_s),
        show_known(summary.tokens_per_s_per_gpu, "{:,.0f}".format),
        show_tflops(summary.tflops_per_gpu),
        show_known(summary.peak_memory_bytes, show_bytes),
        show_known(summary.loss_last, "{:.4f}".format),
        record.run_id,
    )


def _summary(record: RunRecord) -> Summary | None:
    result = training_result(record.result)
    return result.summary if result else None


def _predicted_step_s(record: RunRecord) -> float | None:
    return (record.predicted or {}).get("step_time_s")


def _predicted(record: RunRecord, measured_s: float | None) -> str:
    """`27.23 s (-3.1%)`, the measured time being what it is held against."""
    step_s = _predicted_step_s(record)
    return show_known(step_s, show_seconds) + show_apart(step_s, measured_s)


def _cause(record: RunRecord) -> str:
    """The cause of a failure and what to change, where that is known."""
    cause = record.error.cause if record.error else None
    return f"{cause.text} {cause.change}" if cause else ""

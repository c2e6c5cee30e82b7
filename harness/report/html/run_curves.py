"""Curves of training runs over their steps, thinned to what a page can hold."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from harness.report.html.page_chart import ChartLine, PageChart
from harness.report.reported_run import ReportedRun
from harness.training.log.samples import StepSample
from harness.training.summary import window

_ROOM = 1.15
"""A chart of step times ends so far above the slowest step that counts: the first may take a hundred times as long."""


def run_curves(runs: Sequence[ReportedRun], labels: Sequence[str], *, most_points: int) -> list[PageChart]:
    """Loss and step time, those of them that any run has; `most_points` a line at the most."""

    def lines(value: Callable[[StepSample], float | None]) -> list[ChartLine]:
        return [_line(run, labels[at], at, value, most_points) for at, run in enumerate(runs) if run.samples]

    thinned = any(len(run.samples) > most_points for run in runs)
    note = (
        f" Of long runs each point is the median of neighbouring steps, {most_points} at the most." if thinned else ""
    )
    counted = [sample.step_s for run in runs for sample in window(run.samples)]
    return [
        PageChart(
            id="loss",
            title="Training loss",
            x_title="step",
            y_title="loss",
            lines=lines(lambda sample: sample.loss),
            note=f"Shaded steps are warm-up.{note}",
        ),
        PageChart(
            id="step-time",
            title="Step time",
            x_title="step",
            y_title="seconds",
            lines=lines(lambda sample: sample.step_s),
            note=f"Shaded steps are warm-up and do not count; what is slower than the axis is cut off.{note}",
            top=max(counted) * _ROOM if counted else None,
        ),
    ]


def _line(run: ReportedRun, name: str, place: int, value: Callable[[StepSample], float | None], most: int) -> ChartLine:
    bins = list(_bins(run.samples, most))
    return ChartLine(
        name=name,
        x=[samples[-1].iteration for samples in bins],
        y=[_middle(map(value, samples)) for samples in bins],
        run=place,
        shaded=warm_up(run.samples),
    )


def warm_up(samples: Sequence[StepSample]) -> list[tuple[float, float]]:
    """Stretches of steps that do not count, by their first and last."""
    counted = {sample.iteration for sample in window(samples)}
    stretches: list[tuple[float, float]] = []
    follows = False
    for sample in samples:
        if sample.iteration in counted:
            follows = False
            continue
        first = stretches.pop()[0] if follows else sample.iteration
        stretches.append((first, sample.iteration))
        follows = True
    return stretches


def _bins(samples: Sequence[StepSample], most: int) -> Iterable[Sequence[StepSample]]:
    size = -(-len(samples) // most)
    return (samples[start : start + size] for start in range(0, len(samples), size or 1))


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None

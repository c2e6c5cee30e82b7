"""How the step times of each run are spread: a histogram a run, all on one axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from harness.report.html.page_table import PageCell, PageColumn, PageRow, PageTable, RunMark, run_mark
from harness.report.reported_run import ReportedRun
from harness.training.summary import window
from harness.units import show_seconds

_BINS = 60
_SHARES = (5, 25, 50, 75, 95)


@dataclass(frozen=True, kw_only=True)
class StepSpread:
    """A run's histogram: each bar's height as a share of its tallest, and its percentiles as shares of the axis."""

    run: int
    label: str
    mark: RunMark
    bars: Sequence[float]
    percentiles: Sequence[float]
    median: str


@dataclass(frozen=True, kw_only=True)
class StepSpreads:
    """The histograms, the ends of their axis, and their table."""

    low: str
    high: str
    runs: Sequence[StepSpread]
    table: PageTable


def step_spreads(runs: Sequence[ReportedRun], labels: Sequence[str]) -> StepSpreads | None:
    """Of the runs with two steps or more that count; None where there is none."""
    times = {at: [sample.step_s for sample in window(run.samples)] for at, run in enumerate(runs)}
    times = {at: values for at, values in times.items() if len(values) > 1}
    if not times:
        return None
    cuts = {at: quantiles(values, n=100, method="inclusive") for at, values in times.items()}
    low = min(cut[0] for cut in cuts.values())
    high = max(cut[-1] for cut in cuts.values())
    span = (high - low) or low or 1.0
    low, high = low - span / 20, high + span / 20
    return StepSpreads(
        low=show_seconds(max(low, 0)),
        high=show_seconds(high),
        runs=[
            StepSpread(
                run=at,
                label=labels[at],
                mark=run_mark(at),
                bars=_bars(values, low, high),
                percentiles=[_share(cuts[at][share - 1], low, high) for share in _SHARES],
                median=show_seconds(cuts[at][49]),
            )
            for at, values in times.items()
        ],
        table=_table({at: (len(times[at]), cuts[at]) for at in times}, labels),
    )


def _bars(values: Sequence[float], low: float, high: float) -> list[float]:
    counts = [0] * _BINS
    for value in values:
        if low <= value <= high:
            counts[min(int(_share(value, low, high) * _BINS), _BINS - 1)] += 1
    return [count / max(counts) for count in counts] if any(counts) else []


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low)


def _table(cuts: dict[int, tuple[int, list[float]]], labels: Sequence[str]) -> PageTable:
    columns = [
        PageColumn(name="Run"),
        PageColumn(name="Steps that count", numeric=True),
        *(PageColumn(name="median" if share == 50 else f"p{share:02d}", numeric=True) for share in _SHARES),
    ]
    rows = [
        PageRow(
            run=at,
            mark=run_mark(at),
            cells=[
                PageCell(text=labels[at]),
                PageCell(text=f"{count:,}"),
                *(PageCell(text=show_seconds(cut[share - 1])) for share in _SHARES),
            ],
        )
        for at, (count, cut) in cuts.items()
    ]
    return PageTable(columns=columns, rows=rows)

"""Repeats of a point together: the geometric mean of each figure, with its interval of confidence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import geometric_mean

from harness.report.text.plain_table import MISSING, plain_table
from harness.report.text.sweep_table import PointResult
from harness.runs.campaign.repeats import REPEAT
from harness.training.result import training_result
from harness.units import show_seconds


@dataclass(frozen=True, kw_only=True)
class RepeatedFigure:
    """The geometric mean of repeats; `interval` of 95 %, None of one value, or where scipy is not installed."""

    mean: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class RepeatedPoint:
    """A point's repeats: `settings` are its own, `repeats` counts those that have figures, of `total`."""

    settings: Mapping[str, str]
    repeats: int
    total: int
    step_s: RepeatedFigure | None
    tokens_per_s_per_gpu: RepeatedFigure | None


def repeated_points(results: Sequence[PointResult]) -> list[RepeatedPoint]:
    """The points of which there are repeats, in the order of the first of each; none where nothing is repeated."""
    groups: dict[tuple[tuple[str, str], ...], list[PointResult]] = {}
    for it in results:
        if REPEAT in it.values:
            groups.setdefault(tuple((key, value) for key, value in it.values.items() if key != REPEAT), []).append(it)
    return [_point(dict(settings), of) for settings, of in groups.items()]


def show_repeated(points: Sequence[RepeatedPoint]) -> str:
    """A row a point: `375.1 ms [370.2 ms, 380.0 ms]`."""
    names = list(points[0].settings) if points else []
    rows = [
        (
            *(it.settings[name] for name in names),
            f"{it.repeats} of {it.total}",
            _cell(it.step_s, show_seconds),
            _cell(it.tokens_per_s_per_gpu, "{:,.0f}".format),
        )
        for it in points
    ]
    headers = (*names, "repeats", "step time, geometric mean [95 %]", "tokens/s/GPU, geometric mean [95 %]")
    lack = "" if find_spec("scipy") else "\nintervals need scipy: pip install 'moe-harness[eval]'"
    return f"{plain_table(rows, headers)}{lack}"


def _point(settings: Mapping[str, str], results: Sequence[PointResult]) -> RepeatedPoint:
    found = [training_result(it.record.result) for it in results if it.record]
    summaries = [it.summary for it in found if it and it.summary and it.summary.median_s is not None]
    return RepeatedPoint(
        settings=settings,
        repeats=len(summaries),
        total=len(results),
        step_s=_figure([it.median_s for it in summaries]),
        tokens_per_s_per_gpu=_figure([it.tokens_per_s_per_gpu for it in summaries]),
    )


def _figure(values: Sequence[float | None]) -> RepeatedFigure | None:
    known = [value for value in values if value is not None and value > 0]
    if not known:
        return None
    interval = None
    if find_spec("scipy"):
        from harness.compare.significance import mean_interval

        interval = mean_interval(known)
    return RepeatedFigure(mean=geometric_mean(known), interval=interval)


def _cell(figure: RepeatedFigure | None, show: Callable[[float], str]) -> str:
    if figure is None:
        return MISSING
    if figure.interval is None:
        return show(figure.mean)
    low, high = figure.interval
    return f"{show(figure.mean)} [{show(low)}, {show(high)}]"

"""Evaluations as a page: every metric over steps, the map of experts' loads, each chart with its table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.compare.metrics import ResultDocument
from harness.compare.series import EvaluationSeries, SeriesLine, read_series
from harness.evaluation.spec import EvaluatedPart
from harness.report.html.page_chart import ChartLine, PageChart, chart_or_none
from harness.report.html.routing_map import LEVEL_NAMES, balance_charts, routing_map
from harness.report.html.templating import render_page

_HEADINGS: dict[EvaluatedPart, str] = {
    "loss": "Loss",
    "routing": "Routing",
    "speed": "Speed",
    "cost": "Cost",
    "tasks": "Tasks",
}
_BETTER = {"lower": "Lower is better.", "higher": "Higher is better.", "neither": ""}


@dataclass(frozen=True, kw_only=True)
class SeriesSection:
    """What one part measured, under its heading."""

    part: EvaluatedPart
    heading: str
    charts: Sequence[PageChart]


def series_page(documents: Sequence[ResultDocument], saturation: Mapping[str, Any] | None = None, *, made: str) -> str:
    """The page: a chart a metric, all layers in that of a layer's metric. ValueError without any metric.

    `saturation` is what the evaluation of a series states of its routers; `made` is when.
    """
    series = read_series(documents, saturation)
    if not series.lines:
        raise ValueError("a page of a series wants results with metrics")
    parts = [_section(series, part) for part in _HEADINGS if any(line.part == part for line in series.lines)]
    last = max(documents, key=lambda document: document.get("step") or 0)
    drawn = routing_map(last, "Load of the experts", 0, run=None)
    balance = [chart for chart in balance_charts([("last step", 0, last)], of_runs=False) if chart_or_none(chart)]
    models = dict.fromkeys(str(document.get("model")) for document in documents)
    return render_page(
        "series.html.j2",
        title=f"{', '.join(models)}: evaluation over steps",
        made=made,
        charts=[*balance, *(chart for part in parts for chart in part.charts)],
        maps=[drawn] if drawn else [],
        evaluations=len(series.steps),
        balance=balance,
        parts_found=parts,
        level_names=LEVEL_NAMES,
    )


def _section(series: EvaluationSeries, part: EvaluatedPart) -> SeriesSection:
    has_steps = None not in series.steps
    places = [float(step) if step is not None and has_steps else at for at, step in enumerate(series.steps, start=1)]
    charts = [
        PageChart(
            id=f"{part}-{at}",
            title=name,
            x_title="step" if has_steps else "result",
            y_title=name,
            lines=[ChartLine(name=label, x=places, y=line.values, style=style) for style, (label, line) in pairs],
            note=_BETTER[pairs[0][1][1].direction],
        )
        for at, (name, pairs) in enumerate(_charts(series, part))
    ]
    return SeriesSection(part=part, heading=_HEADINGS[part], charts=charts)


def _charts(
    series: EvaluationSeries, part: EvaluatedPart
) -> Iterator[tuple[str, list[tuple[int, tuple[str, SeriesLine]]]]]:
    """The name of each chart and its lines with theirs: `entropy` has a line a layer, any other metric is alone."""
    charts: dict[str, list[tuple[str, SeriesLine]]] = {}
    for line in series.lines:
        scope, _, rest = line.name.partition(".")
        if line.part == part and any(value is not None for value in line.values):
            of_layer = part == "routing" and scope != "aggregate"
            charts.setdefault(rest if of_layer else line.name, []).append((scope if of_layer else line.name, line))
    ordered = sorted(charts.items(), key=lambda chart: not chart[0].startswith("aggregate."))
    return ((name, list(enumerate(lines))) for name, lines in ordered)

"""A series of evaluations as a page: every metric over steps, each chart with its table."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from harness.compare.metrics import ResultDocument
from harness.compare.series import EvaluationSeries, SeriesLine, read_series
from harness.evaluation.spec import EvaluatedPart
from harness.report.html.line_chart import ChartLine, render_lines
from harness.report.html.page import PagePart, paragraph, render_page
from harness.report.html.table import render_table
from harness.report.text.figure import show_figure
from harness.report.text.plain_table import show_known

_HEADINGS: dict[EvaluatedPart, str] = {
    "loss": "Loss",
    "routing": "Routing",
    "speed": "Speed",
    "cost": "Cost",
    "tasks": "Tasks",
}
_BETTER = {"lower": "lower is better", "higher": "higher is better", "neither": ""}
_STYLE = """\
h2 { font-size: 1.1rem; margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 1.5rem; }
.charts section { min-width: 0; break-inside: avoid; }
.charts figure { margin: 0; }
small { color: var(--faint); font-weight: normal; }
summary { cursor: pointer; color: var(--faint); }"""


def series_page(documents: Sequence[ResultDocument], saturation: Mapping[str, Any] | None = None) -> str:
    """The page: a chart a metric, all layers in that of a layer's metric. ValueError without any metric.

    `saturation` is what the evaluation of a series states of its routers.
    """
    series = read_series(documents, saturation)
    if not series.lines:
        raise ValueError("a page of a series wants results with metrics")
    models = dict.fromkeys(str(document.get("model")) for document in documents)
    parts = [_part(series, part) for part in _HEADINGS if any(line.part == part for line in series.lines)]
    return render_page(f"{', '.join(models)}: evaluation over steps", [paragraph(_said(series)), *parts])


def _said(series: EvaluationSeries) -> str:
    return (
        f"{len(series.steps)} evaluations. Hover a point to read it; a line is broken where a figure is missing."
        " Figures are those of the results; the noise of none of them is drawn."
    )


def _part(series: EvaluationSeries, part: EvaluatedPart) -> PagePart:
    charts = [_chart(series, name, lines) for name, lines in _charts(series, part)]
    markup = "".join(chart.markup for chart in charts)
    styles = dict.fromkeys(chart.style for chart in charts)
    return PagePart(f'<h2>{_HEADINGS[part]}</h2><div class="charts">{markup}</div>', "\n".join([_STYLE, *styles]))


def _charts(series: EvaluationSeries, part: EvaluatedPart) -> Iterator[tuple[str, list[tuple[str, SeriesLine]]]]:
    """The name of each chart and its lines with theirs: `entropy` has a line a layer, any other metric is alone."""
    charts: dict[str, list[tuple[str, SeriesLine]]] = {}
    for line in series.lines:
        scope, _, rest = line.name.partition(".")
        if line.part == part and any(value is not None for value in line.values):
            of_layer = part == "routing" and scope != "aggregate"
            charts.setdefault(rest if of_layer else line.name, []).append((scope if of_layer else line.name, line))
    return iter(sorted(charts.items(), key=lambda chart: not chart[0].startswith("aggregate.")))


def _chart(series: EvaluationSeries, name: str, lines: Sequence[tuple[str, SeriesLine]]) -> PagePart:
    """A chart under its name, with the table of what it draws."""
    has_steps = None not in series.steps
    places = [float(step) if step is not None and has_steps else at for at, step in enumerate(series.steps, start=1)]
    chart = render_lines(
        [ChartLine(name=label, values=line.values) for label, line in lines],
        places,
        x_title="step" if has_steps else "result",
        y_title=name,
    )
    table = render_table(
        [
            [show_known(step, str), *(show_known(line.values[at], show_figure) for _, line in lines)]
            for at, step in enumerate(series.steps)
        ],
        ["step", *(label for label, _ in lines)],
    )
    better = _BETTER[lines[0][1].direction]
    markup = (
        f"<section><h3>{escape(name)} <small>{better}</small></h3>{chart.markup}"
        f"<details><summary>table</summary>{table.markup}</details></section>"
    )
    return PagePart(markup, f"{chart.style}\n{table.style}")

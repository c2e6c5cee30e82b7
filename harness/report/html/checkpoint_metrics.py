"""Metrics of evaluations over the checkpoints of each run."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.compare.metrics import ResultDocument
from harness.compare.series import SeriesLine, read_series
from harness.report.html.page_chart import ChartLine, PageChart, chart_or_none
from harness.report.html.page_table import PageCell, PageColumn, PageRow, PageTable
from harness.report.text.figure import show_figure
from harness.report.text.plain_table import show_known

_MOST_CHARTS = 18
_BETTER = {"lower": "Lower is better.", "higher": "Higher is better.", "neither": ""}
_PARTS = ("loss", "tasks", "routing")


def like_evaluations(documents: Sequence[ResultDocument]) -> list[ResultDocument]:
    """The newest of each step, of those made alike: under the conditions under which most steps were measured."""
    groups: dict[str, dict[Any, ResultDocument]] = {}
    for document in documents:
        groups.setdefault(_conditions(document), {})[document.get("step")] = document
    most = max((len(steps) for steps in groups.values()), default=0)
    newest = next((steps for steps in reversed(groups.values()) if len(steps) == most), {})
    return sorted(newest.values(), key=lambda document: (document.get("step") is not None, document.get("step") or 0))


def metric_charts(found: Sequence[tuple[str, int, Sequence[ResultDocument]]]) -> list[PageChart]:
    """A chart a metric, with a line for each (label, place, results) of a run of two steps or more."""
    lines: dict[tuple[str, str], list[tuple[SeriesLine, ChartLine]]] = {}
    for label, place, documents in found:
        series = read_series([document for document in documents if document.get("step") is not None])
        if len(series.steps) < 2:
            continue
        steps = [float(step) for step in series.steps if step is not None]
        for line in filter(_is_principal, series.lines):
            drawn = ChartLine(name=label, x=steps, y=line.values, run=place)
            lines.setdefault((line.part, line.name), []).append((line, drawn))
    charts = [
        PageChart(
            id=f"metric-{at}",
            title=_title(name),
            x_title="step",
            y_title=_title(name),
            lines=[drawn for _, drawn in pairs],
            note=_BETTER[pairs[0][0].direction],
        )
        for at, ((_, name), pairs) in enumerate(lines.items())
    ]
    return [chart for chart in charts if chart_or_none(chart)][:_MOST_CHARTS]


def last_metrics(found: Sequence[tuple[str, int, Sequence[ResultDocument]]]) -> PageTable | None:
    """A row a metric, with the last result of each run; None where no run has any."""
    columns = [PageColumn(name="Metric")]
    values: dict[str, dict[int, float | None]] = {}
    notes: dict[str, str] = {}
    for at, (label, _, documents) in enumerate(found):
        step = documents[-1].get("step")
        columns.append(PageColumn(name=label, unit=f"step {step:,}" if isinstance(step, int) else "", numeric=True))
        for line in filter(_is_principal, read_series(documents[-1:]).lines):
            values.setdefault(_title(line.name), {})[at] = line.values[-1]
            notes[_title(line.name)] = _BETTER[line.direction]
    rows = [
        PageRow(
            cells=[
                PageCell(text=name, note=notes[name]),
                *(PageCell(text=show_known(row.get(at), show_figure)) for at in range(len(found))),
            ]
        )
        for name, row in values.items()
    ]
    return PageTable(columns=columns, rows=rows) if rows else None


def _conditions(document: ResultDocument) -> str:
    stated = document.get("evaluation")
    own: Mapping[str, Any] = stated if isinstance(stated, Mapping) else {}
    return json.dumps({key: value for key, value in own.items() if key != "checkpoint_fingerprint"}, sort_keys=True)


def _is_principal(line: SeriesLine) -> bool:
    """Of routing the means over layers; whole figures of loss and tasks."""
    if line.part == "routing":
        return line.name.startswith("aggregate.avg_")
    return line.part in _PARTS


def _title(name: str) -> str:
    """`aggregate.avg_gini_coefficient` → `Gini coefficient, mean of layers`."""
    if name.startswith("aggregate.avg_"):
        words = name.removeprefix("aggregate.avg_").replace("_", " ")
        return f"{words[0].upper()}{words[1:]}, mean of layers"
    words = name.replace("_", " ").removesuffix(",none")
    return f"{words[0].upper()}{words[1:]}"

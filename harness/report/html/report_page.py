"""Training runs as one page: the table, the curves, the routing, the configuration, and how to run them again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.compare.evaluation_likeness import CONDITIONS_OF_ALL, CONDITIONS_OF_PARTS
from harness.compare.likeness import unlikeness
from harness.compare.measured_run import MeasuredRun
from harness.compare.metrics import ResultDocument, section
from harness.compare.run_likeness import run_conditions, run_document
from harness.errors import ConfigError
from harness.report.html.checkpoint_metrics import last_metrics, like_evaluations, metric_charts
from harness.report.html.configuration_table import difference_table, written_by_hand
from harness.report.html.memory_bars import memory_bars
from harness.report.html.page_chart import chart_or_none
from harness.report.html.page_table import PageCell, PageColumn, PageRow, PageTable, RunMark, run_mark
from harness.report.html.prediction_table import prediction_table
from harness.report.html.reproduction import reproduction
from harness.report.html.routing_map import LEVEL_NAMES, balance_charts, routing_map
from harness.report.html.run_curves import run_curves
from harness.report.html.step_times import step_spreads
from harness.report.html.templating import MOST_BYTES, render_page
from harness.report.reported_run import ReportedRun, run_labels
from harness.report.text.plain_table import MISSING
from harness.report.text.publication_table import COLUMNS, CellValue, publication_rows

_POINTS = (600, 240, 80)
"""Points of a line, tried in this order until the page is small enough."""
_MOST_MAPS = 8


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A figure of the headline."""

    name: str
    value: str
    unit: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class RunChip:
    """What hides and shows a run."""

    run: int
    label: str
    mark: RunMark


def report_page(runs: Sequence[ReportedRun], *, made: str) -> str:
    """The page; `made` is when. ConfigError where the runs are too many for one page of MOST_BYTES."""
    for points in _POINTS:
        page = _page(runs, made, most_points=points, maps=points == _POINTS[0])
        if len(page.encode()) <= MOST_BYTES:
            return page
    raise ConfigError(f"a report of {len(runs)} runs is larger than a page of 1 MB; name fewer of them")


def _page(runs: Sequence[ReportedRun], made: str, *, most_points: int, maps: bool) -> str:
    labels = run_labels(runs)
    rows = publication_rows([run.record for run in runs])
    apart = _unlike_runs(runs, labels)
    series = [
        (label, at, like_evaluations(run.evaluations)) for at, (label, run) in enumerate(zip(labels, runs, strict=True))
    ]
    measured = [(label, at, documents) for label, at, documents in series if documents]
    routed = [(label, at, documents[-1]) for label, at, documents in measured]
    drawn = [found for label, at, it in routed[:_MOST_MAPS] if (found := routing_map(it, label, at, run=at))]
    curves = [chart for chart in run_curves(runs, labels, most_points=most_points) if chart_or_none(chart)]
    balance = [chart for chart in balance_charts(routed, of_runs=True) if chart_or_none(chart)]
    metrics = metric_charts(measured)
    return render_page(
        "report.html.j2",
        title=_title(rows),
        made=made,
        charts=[*curves, *balance, *metrics],
        maps=drawn if maps else [],
        lead=_lead(rows, apart),
        tiles=_tiles(rows, apart),
        notices=_notices(runs, apart, measured),
        chips=[RunChip(run=at, label=label, mark=run_mark(at)) for at, label in enumerate(labels)],
        results=_results(runs, labels, rows),
        curves=curves,
        spreads=step_spreads(runs, labels),
        memory=memory_bars(runs, labels),
        predictions=prediction_table(runs, labels),
        balance=balance,
        level_names=LEVEL_NAMES,
        metrics=metrics,
        last_metrics=last_metrics(measured) if measured else None,
        differences=difference_table(runs, labels) if len(runs) > 1 else written_by_hand(runs[0]),
        alone=len(runs) == 1,
        reproductions=[reproduction(run, labels[at], at) for at, run in enumerate(runs)],
        window_rule=_window_rule(runs),
    )


def _title(rows: Sequence[dict[str, CellValue]]) -> str:
    """`3 runs of DeepSeek-V3 on NVIDIA H100`."""
    models = dict.fromkeys(str(row["Model"] or "a model without a name") for row in rows)
    systems = dict.fromkeys(str(row["System"]) for row in rows if row["System"])
    of = next(iter(models)) if len(models) == 1 else f"{len(models)} models"
    on = f" on {next(iter(systems))}" if len(systems) == 1 else ""
    return f"{of}{on}" if len(rows) == 1 else f"{len(rows)} runs of {of}{on}"


def _lead(rows: Sequence[dict[str, CellValue]], apart: Sequence[str]) -> str:
    """One sentence that says what came out."""
    timed = [row for row in rows if isinstance(row["Tokens/s/GPU"], float)]
    if not timed:
        return "No run has steps that count yet."
    best = max(timed, key=_speed)
    sizes = ", ".join(f"{name} {best[name]}" for name in ("TP", "CP", "EP", "PP", "DP") if best[name] is not None)
    said = f"{_shown('Tokens/s/GPU', best)} tokens/s/GPU on {_shown('#GPUs', best)} ranks ({sizes})"
    if len(timed) == 1:
        return f"{said}; {_shown('Step time', best)} s a step."
    if apart:
        return f"{len(timed)} timed runs that are not alike, so none is called the best. The highest rate: {said}."
    slowest = min(timed, key=_speed)
    return f"Fastest of {len(timed)} timed runs: {said}, {_speed(best) / _speed(slowest):.2f} × the slowest."


def _tiles(rows: Sequence[dict[str, CellValue]], apart: Sequence[str]) -> list[Tile]:
    """Of the fastest run, where runs can be ranked; of one, its own."""
    timed = [row for row in rows if isinstance(row["Tokens/s/GPU"], float)]
    if not timed or (apart and len(rows) > 1):
        return []
    best = max(timed, key=_speed)
    names = {
        "Step time": "Median step time",
        "Tokens/s/GPU": "Tokens/s/GPU",
        "TFLOP/s/GPU": "TFLOP/s/GPU",
        "MFU": "MFU",
        "Memory": "Peak memory",
    }
    units = {column.name: column.unit for column in COLUMNS}
    return [
        Tile(name=shown, value=_shown(name, best), unit=units[name])
        for name, shown in names.items()
        if best[name] is not None
    ]


def _speed(row: dict[str, CellValue]) -> float:
    value = row["Tokens/s/GPU"]
    return value if isinstance(value, float) else 0.0


def _shown(name: str, row: dict[str, CellValue]) -> str:
    column = next(column for column in COLUMNS if column.name == name)
    return column.text(row[name])


def _notices(
    runs: Sequence[ReportedRun],
    apart: Sequence[str],
    measured: Sequence[tuple[str, int, Sequence[ResultDocument]]],
) -> list[str]:
    """What a reader must know before comparing."""
    problems = [problem for run in runs for problem in run.problems]
    differ = [
        f"{run.record.run_id} did not run as asked: {difference}"
        for run in runs
        for difference in (run.result.differences if run.result else ())
    ]
    unlike = [f"These figures do not compare: {sentence}" for sentence in apart]
    return [*unlike, *problems, *differ, *_unlike_evaluations(measured)]


def _unlike_runs(runs: Sequence[ReportedRun], labels: Sequence[str]) -> Sequence[str]:
    """What makes runs unlike, as `runs compare` tells it."""
    documents = [run_document(MeasuredRun(record=run.record, samples=run.samples)) for run in runs]
    return unlikeness(documents, labels, run_conditions(documents))


def _unlike_evaluations(measured: Sequence[tuple[str, int, Sequence[ResultDocument]]]) -> list[str]:
    """The same of the runs' last evaluations, in the parts that all of them measured."""
    documents = [documents[-1] for _, _, documents in measured]
    shared = [part for part in CONDITIONS_OF_PARTS if all(section(document, part) for document in documents)]
    found = (*CONDITIONS_OF_ALL, *(condition for part in shared for condition in CONDITIONS_OF_PARTS[part]))
    conditions = {condition.words: condition for condition in found}
    unlike = unlikeness(documents, [label for label, _, _ in measured], list(conditions.values()))
    return [f"Evaluations do not compare: {sentence}" for sentence in unlike]


def _results(runs: Sequence[ReportedRun], labels: Sequence[str], rows: Sequence[dict[str, CellValue]]) -> PageTable:
    """Columns in which no run has a value are left out; a run has its short name, and its id below."""
    kept = [column for column in COLUMNS if any(row[column.name] not in (None, "") for row in rows)]

    def cells(at: int) -> Iterator[PageCell]:
        for column in kept:
            value = rows[at][column.name]
            if column.name == "Run":
                yield PageCell(text=labels[at], note=_note(runs[at], labels[at]), key=labels[at])
            else:
                yield PageCell(text=column.text(value), key="" if value is None else value)

    return PageTable(
        columns=[PageColumn(name=it.name, unit=it.unit, numeric=it.numeric) for it in kept],
        rows=[PageRow(run=at, mark=run_mark(at), cells=list(cells(at))) for at in range(len(rows))],
    )


def _note(run: ReportedRun, label: str) -> str:
    """The id, or else the comment, and the status of a run that did not end well."""
    other = run.comment if label == run.record.run_id else run.record.run_id
    status = "" if run.record.status == "completed" else run.record.status
    return "; ".join(text for text in (other, status) if text)


def _window_rule(runs: Sequence[ReportedRun]) -> str:
    rules = (run.result.summary.window_rule for run in runs if run.result and run.result.summary)
    return next(rules, MISSING)

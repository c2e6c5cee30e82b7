"""What was predicted of each run beside what was measured."""

from collections.abc import Callable, Sequence

from harness.report.html.page_table import PageCell, PageColumn, PageRow, PageTable, run_mark
from harness.report.reported_run import ReportedRun
from harness.report.text.plain_table import MISSING, show_known
from harness.training.summary import Summary
from harness.units import show_bytes, show_seconds

type _Figure = tuple[str, str, Callable[[float], str], Callable[[Summary], float | None]]

_FIGURES: Sequence[_Figure] = (
    ("step_time_s", "step time", show_seconds, lambda summary: summary.median_s),
    ("tokens_per_s_per_gpu", "tokens/s/GPU", "{:,.0f}".format, lambda summary: summary.tokens_per_s_per_gpu),
    ("tflops_per_gpu", "TFLOP/s/GPU", "{:,.4g}".format, lambda summary: summary.tflops_per_gpu),
    ("peak_memory_bytes", "peak memory", show_bytes, lambda summary: summary.peak_memory_bytes),
)
_COLUMNS = (
    PageColumn(name="Run"),
    PageColumn(name="Figure"),
    PageColumn(name="Predicted", numeric=True),
    PageColumn(name="Measured", numeric=True),
    PageColumn(name="Measured against predicted", numeric=True),
)


def prediction_table(runs: Sequence[ReportedRun], labels: Sequence[str]) -> PageTable | None:
    """A row for each figure of a run that was predicted; None where nothing was."""
    rows = [row for at, run in enumerate(runs) for row in _rows(run, labels[at], at)]
    return PageTable(columns=_COLUMNS, rows=rows) if rows else None


def _rows(run: ReportedRun, label: str, place: int) -> list[PageRow]:
    predicted = (run.result.predicted if run.result else None) or {}
    summary = run.result.summary if run.result else None
    rows = []
    for key, name, show, measure in _FIGURES:
        if (guess := predicted.get(key)) is None:
            continue
        measured = measure(summary) if summary else None
        apart = MISSING if measured is None or not guess else f"{measured / guess - 1:+.1%}"
        texts = (name, show(guess), show_known(measured, show), apart)
        cells = [PageCell(text=label), *(PageCell(text=text) for text in texts)]
        rows.append(PageRow(run=place, mark=run_mark(place), cells=cells))
    return rows

"""What was predicted of each run beside what was measured."""

from collections.abc import Callable, Mapping, Sequence

from harness.report.html.page_table import PageCell, PageColumn, PageRow, PageTable, run_mark
from harness.report.reported_run import ReportedRun
from harness.report.text.plain_table import show_known
from harness.training.summary import Summary
from harness.units import show_bytes, show_seconds

type _Figure = tuple[str, str, Callable[[float], str], Callable[[Summary], float | None]]

_FIGURES: Sequence[_Figure] = (
    ("step_time_s", "Step time", show_seconds, lambda summary: summary.median_s),
    ("tokens_per_s_per_gpu", "Tokens/s/GPU", "{:,.0f}".format, lambda summary: summary.tokens_per_s_per_gpu),
    ("tflops_per_gpu", "TFLOP/s/GPU", "{:,.4g}".format, lambda summary: summary.tflops_per_gpu),
    ("peak_memory_bytes", "Peak memory", show_bytes, lambda summary: summary.peak_memory_bytes),
)


def prediction_table(runs: Sequence[ReportedRun], labels: Sequence[str]) -> PageTable | None:
    """A row for each run of which something was predicted: what was measured, and below it what was foreseen."""
    predicted = {at: run.result.predicted for at, run in enumerate(runs) if run.result and run.result.predicted}
    shown = [figure for figure in _FIGURES if any(figure[0] in figures for figures in predicted.values())]
    rows = [
        PageRow(
            run=at,
            mark=run_mark(at),
            cells=[PageCell(text=labels[at]), *(_cell(figure, figures, _summary(runs[at])) for figure in shown)],
        )
        for at, figures in predicted.items()
    ]
    columns = [PageColumn(name="Run"), *(PageColumn(name=name, numeric=True) for _, name, _, _ in shown)]
    return PageTable(columns=columns, rows=rows) if shown else None


def _cell(figure: _Figure, predicted: Mapping[str, float], summary: Summary | None) -> PageCell:
    """`27.10 s`, with the note `predicted 28.05 s, measured 3.4% less`."""
    key, _, show, measure = figure
    guess, measured = predicted.get(key), measure(summary) if summary else None
    if guess is None:
        return PageCell(text=show_known(measured, show))
    apart = measured / guess - 1 if measured is not None and guess else None
    than = "" if apart is None else f", measured {abs(apart):.1%} {'more' if apart > 0 else 'less'}"
    return PageCell(text=show_known(measured, show), note=f"predicted {show(guess)}{than}")


def _summary(run: ReportedRun) -> Summary | None:
    return run.result.summary if run.result else None

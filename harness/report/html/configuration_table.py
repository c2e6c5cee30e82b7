"""What the configurations of runs do not have in common, each value with its origin."""

from collections.abc import Iterator, Sequence

from harness.compare.configuration_differences import configuration_differences
from harness.config.provenance import Resolved
from harness.report.html.page_table import PageCell, PageColumn, PageRow, PageTable
from harness.report.reported_run import ReportedRun
from harness.report.text.plain_table import MISSING

_HAND_LAYERS = ("environment", "command line", "extra flags")
"""What a user writes for one run."""


def difference_table(runs: Sequence[ReportedRun], labels: Sequence[str]) -> PageTable | None:
    """A row for each name whose value is not the same in all; None where all are."""
    found = configuration_differences([run.record for run in runs])
    rows = [
        _row(
            it.name,
            [MISSING if value is None else value for value in it.values],
            [origin or "" for origin in it.origins],
        )
        for it in found
        if it.name != "COMMENT"  # which the runs are called by
    ]
    columns = [PageColumn(name="Setting"), *(PageColumn(name=label) for label in labels)]
    return PageTable(columns=columns, rows=rows) if rows else None


def written_by_hand(run: ReportedRun) -> PageTable | None:
    """What the user of one run wrote on the command line or in the environment; None where that is nothing."""
    resolved = run.record.resolved
    names = [name for name in _names(resolved) if _by_hand(resolved, name)]
    columns = [PageColumn(name="Setting"), PageColumn(name="Value")]
    rows = [_row(name, [_value(resolved, name)], [str(resolved.origin(name))]) for name in names]
    return PageTable(columns=columns, rows=rows) if rows else None


def _by_hand(resolved: Resolved, name: str) -> bool:
    origin = resolved.origin(name)
    return origin is not None and origin.layer in _HAND_LAYERS


def _row(name: str, values: Sequence[str], origins: Sequence[str]) -> PageRow:
    cells = [PageCell(text=value, note=origin) for value, origin in zip(values, origins, strict=True)]
    return PageRow(cells=[PageCell(text=name), *cells])


def _names(resolved: Resolved) -> Iterator[str]:
    yield from resolved.settings
    yield from resolved.megatron_args
    yield from resolved.env


def _value(resolved: Resolved, name: str) -> str:
    """The value as text; a dash where there is none."""
    for values in (resolved.settings, resolved.megatron_args, resolved.env):
        if name in values:
            value = values[name]
            return MISSING if value is None else " ".join(value) if isinstance(value, tuple) else str(value)
    return MISSING

"""What the configurations of runs do not have in common, each value with its origin."""

from collections.abc import Iterator, Sequence

from harness.config.provenance import Resolved
from harness.report.html.page_table import PageCell, PageColumn, PageRow, PageTable
from harness.report.reported_run import ReportedRun
from harness.report.text.plain_table import MISSING

_OWN = ("COMMENT", "RUN_NAME", "OUTPUT_PATH")
"""Settings that differ without making a difference."""
_HAND_LAYERS = ("environment", "command line", "extra flags")
"""What a user writes for one run."""


def configuration_differences(runs: Sequence[ReportedRun], labels: Sequence[str]) -> PageTable | None:
    """A row for each setting, flag or environment name whose value is not the same in all; None where all are."""
    names = dict.fromkeys(name for run in runs for name in _names(run.record.resolved) if name not in _OWN)
    by_values: dict[tuple[str, ...], str] = {}
    for name in names:
        values = tuple(_value(run.record.resolved, name) for run in runs)
        if len(set(values)) > 1:
            by_values.setdefault(values, name)  # a flag that is a setting's goes without saying
    rows = [_row(name, values, runs) for values, name in by_values.items()]
    columns = [PageColumn(name="Setting"), *(PageColumn(name=label) for label in labels)]
    return PageTable(columns=columns, rows=rows) if rows else None


def written_by_hand(run: ReportedRun) -> PageTable | None:
    """What the user of one run wrote on the command line or in the environment; None where that is nothing."""
    resolved = run.record.resolved
    names = [name for name in _names(resolved) if _by_hand(resolved, name)]
    columns = [PageColumn(name="Setting"), PageColumn(name="Value")]
    rows = [_row(name, [_value(resolved, name)], [run]) for name in names]
    return PageTable(columns=columns, rows=rows) if rows else None


def _by_hand(resolved: Resolved, name: str) -> bool:
    origin = resolved.origin(name)
    return origin is not None and origin.layer in _HAND_LAYERS


def _row(name: str, values: Sequence[str], runs: Sequence[ReportedRun]) -> PageRow:
    origins = [run.record.resolved.origin(name) for run in runs]
    cells = [
        PageCell(text=value, note=str(origin) if origin else "") for value, origin in zip(values, origins, strict=True)
    ]
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

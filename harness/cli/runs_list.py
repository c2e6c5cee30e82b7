"""`moe-harness runs list`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click

from harness.cli.indexed_root import find_rows
from harness.cli.run_lookup import ROOT
from harness.report.text.run_data import row_data
from harness.report.text.run_list import DEFAULT_COLUMNS, show_rows
from harness.runs.columns import column_types
from harness.runs.condition import Condition, known_column, parse_condition
from harness.runs.kinds import KINDS
from harness.runs.record import Status
from harness.runs.selection import Selection, parse_since, sorted_by

STATUSES = get_args(Status.__value__)
_MANY = 1000
"""So many runs are read by programs alone."""


class _Since(click.ParamType[str]):
    """`2d`, `12h`, `30m`, or a date, which becomes a record's time."""

    name = "TIME"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return parse_since(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Where(click.ParamType[Condition]):
    """A condition on a column."""

    name = "CONDITION"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Condition:
        try:
            return parse_condition(value, column_types())
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Order(click.ParamType[str]):
    """A column, with a minus before it where the greatest comes first."""

    name = "COLUMN"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            known_column(value.removeprefix("-"), column_types())
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return value


class _Columns(click.ParamType[tuple[str, ...]]):
    """Columns with commas between them; after a plus they come after the usual ones."""

    name = "COLUMN,…"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        types = column_types()
        names = [name.strip() for name in value.removeprefix("+").split(",") if name.strip()]
        if names == ["all"]:
            return tuple(types)
        try:
            for name in names:
                if name not in types:
                    known_column(name, types)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return tuple(dict.fromkeys([*(DEFAULT_COLUMNS if value.startswith("+") else ()), *names]))


@click.command("list")
@ROOT
@click.option("--status", "statuses", type=click.Choice(STATUSES), multiple=True, help="Only these; may be repeated.")
@click.option("--kind", "kinds", type=click.Choice(list(KINDS)), multiple=True, help="Only these; may be repeated.")
@click.option("--model", help="Only runs of this model.")
@click.option("--since", type=_Since(), help="Only runs begun since: 2d, 12h, 30m, or a date (UTC).")
@click.option("--sweep", help="Only runs of this sweep.")
@click.option(
    "--where",
    "conditions",
    type=_Where(),
    multiple=True,
    help="Only runs of which this is true: ep=4, step_time_s<2.5, 'model=DeepSeek*', cause!= (has one). Repeatable.",
)
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the N newest of these.")
@click.option("--sort", "order", type=_Order(), help="Sort by a column; -COLUMN puts the greatest first.")
@click.option(
    "--columns", type=_Columns(), help="Show these columns; +COLUMN,… shows them after the usual ones; or all."
)
@click.option("--json", "as_json", is_flag=True, help="Print a list as JSON; of the columns, if any are named.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the columns as CSV.")
def command(
    root: Path,
    statuses: Sequence[Status],
    kinds: Sequence[str],
    model: str | None,
    since: str | None,
    sweep: str | None,
    conditions: Sequence[Condition],
    last: int | None,
    order: str | None,
    columns: tuple[str, ...] | None,
    as_json: bool,
    as_csv: bool,
) -> int:
    """All runs, the newest first."""
    if as_json and as_csv:
        raise click.UsageError("--json and --csv: choose one")
    selection = Selection(
        statuses=tuple(statuses),
        kinds=tuple(kinds),
        model=model,
        since=since,
        sweep=sweep,
        conditions=tuple(conditions),
        last=last,
    )
    found = find_rows(root, selection)
    rows = selection.of(found.rows)
    if order:
        rows = sorted_by(rows, order.removeprefix("-"), descending=order.startswith("-"))
    if as_json:
        data = [{it: row[it] for it in columns} if columns else row_data(row) for row in rows]
        click.echo(json.dumps(data, indent=2 if len(data) < _MANY else None))  # Python indents ten times slower
    elif as_csv:
        from harness.report.text.csv_table import csv_table

        shown = columns or DEFAULT_COLUMNS
        click.echo(csv_table(shown, ([row[name] for name in shown] for row in rows)), nl=False)
    elif rows:
        click.echo(show_rows(rows, columns or DEFAULT_COLUMNS, found.pending_reasons))
    else:
        click.echo(f"no runs in {root}" if not found.total else f"none of the {found.total} runs in {root} is so")
    return 1 if found.unsound else 0

"""`moe-harness runs sql`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from harness.cli.indexed_root import find_rows
from harness.cli.run_lookup import ROOT
from harness.report.text.csv_table import csv_table
from harness.report.text.run_list import show_values
from harness.runs.columns import column_types

type _Table = tuple[Sequence[str], Sequence[Sequence[Any]], bool]
"""Names, rows, and whether a run had a problem."""


@click.command("sql")
@click.argument("sql", required=False, metavar="'SELECT …'")
@ROOT
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--columns", "only_columns", is_flag=True, help="Print the columns of the table, and their types.")
def command(sql: str | None, root: Path, as_json: bool, as_csv: bool, only_columns: bool) -> int:
    """Ask all runs in SQL, DuckDB's: the table is named runs, and has a row for each."""
    if as_json and as_csv:
        raise click.UsageError("--json and --csv: choose one")
    if (sql is None) != only_columns:
        raise click.UsageError("give one SELECT in quotes, or --columns alone")
    names, rows, unsound = _columns() if sql is None else _answer(root, sql)
    if as_json:
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
    elif as_csv:
        click.echo(csv_table(names, rows), nl=False)
    else:
        click.echo(show_values(names, rows))
    return 1 if unsound else 0


def _columns() -> _Table:
    return ("column", "type"), [(name, _type(of)) for name, of in column_types().items()], False


def _answer(root: Path, sql: str) -> _Table:
    from harness.runs.query import query

    found = find_rows(root)
    answer = query(found.rows, sql)
    return answer.columns, answer.rows, found.unsound


def _type(of: object) -> str:
    return of if isinstance(of, str) else "STRUCT" if isinstance(of, dict) else "STRUCT[]"

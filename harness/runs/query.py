"""SQL over the rows of runs: DuckDB in memory, where it can reach no file and change nothing."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from harness.errors import ConfigError, EnvironmentProblem
from harness.runs.columns import Row, column_types

TABLE = "runs"


class QueryResult(NamedTuple):
    """The names of the columns, and the rows in plain values; a NaN or infinity that the SQL came to is None."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def query(rows: Sequence[Row], sql: str) -> QueryResult:
    """What one SELECT over the table `runs` comes to.

    ConfigError for SQL that fails, that would write, or that is more than one statement; EnvironmentProblem without
    DuckDB.
    """
    try:
        import duckdb
    except ImportError:
        raise EnvironmentProblem(
            "runs sql needs DuckDB: pip install 'moe-harness[report]' (runs list --where, --sort and --columns do not)"
        ) from None
    with duckdb.connect(":memory:") as connection:
        _fill(connection, rows)
        try:
            _refuse_writing(connection.extract_statements(sql), duckdb.StatementType)
            connection.execute("BEGIN TRANSACTION READ ONLY")  # WITH … AS (INSERT …) is a SELECT by its type
            found = connection.execute(sql)
            names = _distinct(column[0] for column in found.description or ())
            return QueryResult(names, [tuple(_plain(value) for value in row) for row in found.fetchall()])
        except (duckdb.Error, RuntimeError) as error:
            raise ConfigError(f"this SQL fails: {_one_line(str(error))}") from None


def _fill(connection: Any, rows: Sequence[Row]) -> None:
    """Make the table, and shut the files and settings away."""
    connection.execute("SET TimeZone = 'UTC'")
    known = [json.dumps({name: value for name, value in row.items() if value is not None}) for row in rows]
    connection.execute(
        f"CREATE TABLE {TABLE} AS SELECT unnest(from_json(run, ?)) FROM (SELECT unnest(?::JSON[]) AS run)",
        [json.dumps(column_types()), known],
    )
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _refuse_writing(statements: Sequence[Any], types: Any) -> None:
    if len(statements) != 1:
        found = "none" if not statements else f"{len(statements)}"
        raise ConfigError(f"expected one statement of SQL, found {found}; give it in quotes: 'select model from runs'")
    if statements[0].type not in (types.SELECT, types.EXPLAIN):
        kind = str(statements[0].type).rpartition(".")[2]
        raise ConfigError(f"this SQL would do more than read ({kind}); the records stay as they are: write a SELECT")


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """`loss`, `loss_2`: of columns with one name none is lost where rows become objects."""
    found: list[str] = []
    for name in names:
        again = found.count(name)
        found.append(name if not again else f"{name}_{again + 1}")
    return tuple(found)


def _one_line(text: str) -> str:
    """DuckDB's message without its picture of the place."""
    if "read-only mode" in text:
        return "it would write; the records stay as they are"
    return " ".join(text.partition("\n\nLINE ")[0].split())


def _plain(value: Any) -> Any:
    """A value that JSON can hold; times as records write them."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return (
        value
        if isinstance(value, str | int | bool | None)
        else value.isoformat()
        if isinstance(value, date)
        else str(value)
    )

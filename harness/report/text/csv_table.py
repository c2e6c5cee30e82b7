"""Rows as CSV."""

import csv
import json
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any


def csv_table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Lines of CSV under one of headers; a missing value is an empty cell, several values are JSON."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else value

"""A condition on a column of a run, as a user writes it: `ep=4`, `step_time_s<2.5`, `model=DeepSeek*`, `cause!=`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import ge, gt, le, lt
from typing import Any

from harness.errors import nearest
from harness.runs.columns import Row
from harness.runs.kind import ColumnType

_FORM = re.compile(r"([A-Za-z_]\w*)\s*(<=|>=|!=|=|<|>)\s*(.*)", re.DOTALL)
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """`column operator value`. A text may be a pattern with `*` and `?`; None, written as nothing, is a missing value.

    A missing value is neither less nor more than another, and is unlike every other.
    """

    column: str
    operator: str
    value: Any

    def holds(self, row: Row) -> bool:
        """Whether a row fulfils it."""
        found = row[self.column]
        if self.operator in _ORDERS:
            return found is not None and _ORDERS[self.operator](found, self.value)
        return self._is_like(found) == (self.operator == "=")

    def _is_like(self, found: Any) -> bool:
        if isinstance(found, str) and isinstance(self.value, str):
            return fnmatchcase(found, self.value)
        return bool(found == self.value)


def parse_condition(text: str, types: Mapping[str, ColumnType]) -> Condition:
    """ValueError says what is wrong with the text."""
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no condition; write one like ep=4, step_time_s<2.5, model=DeepSeek* or cause!=")
    column, operator, written = found.groups()
    of = known_column(column, types)
    if not written and operator in _ORDERS:
        raise ValueError(f"{text!r} compares with nothing; {column}= is a missing value, and {column}!= any")
    return Condition(column=column, operator=operator, value=_value(written.strip(), of, text) if written else None)


def known_column(name: str, types: Mapping[str, ColumnType]) -> str:
    """The type of a plain column; ValueError for another name, with the nearest."""
    of = types.get(name)
    if of is None:
        raise ValueError(f"{name!r} is no column; {nearest(name, types)}")
    if not isinstance(of, str) or "(" in of:
        raise ValueError(f"{name} holds several values, which moe-harness runs sql can take apart")
    return of


def _value(text: str, of: str, condition: str) -> Any:
    try:
        if of == "BOOLEAN":
            return _SWITCHES[text.lower()]
        return float(text) if of in ("BIGINT", "DOUBLE") else text
    except (KeyError, ValueError):
        wanted = "yes or no" if of == "BOOLEAN" else "a number"
        raise ValueError(f"{condition!r}: expected {wanted}, found {text!r}") from None

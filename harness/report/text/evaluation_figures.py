"""Figures of a result's document, which may lack any of them or have been edited."""

from collections.abc import Callable, Mapping
from typing import Any

from harness.report.text.plain_table import MISSING, show_known

_NO_JSON_NUMBERS = ("nan", "inf", "-inf")


def section_of(document: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """What the names lead to, one within the other; empty where there is no such object."""
    found: Any = document
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def number_of(section: Mapping[str, Any], name: str) -> float | None:
    """A figure, or None where there is none."""
    value = section.get(name)
    if isinstance(value, bool) or not (isinstance(value, int | float) or value in _NO_JSON_NUMBERS):
        return None
    return float(value)


def show_number(section: Mapping[str, Any], name: str, show: Callable[[float], str]) -> str:
    """A figure in its format, or a dash."""
    return show_known(number_of(section, name), show)


def show_text(section: Mapping[str, Any], name: str) -> str:
    """A value as text, or a dash."""
    value = section.get(name)
    return MISSING if value is None else str(value)

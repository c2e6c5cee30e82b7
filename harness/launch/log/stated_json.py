"""Parse the harness's own statements in a log: a marker, then a JSON object on the rest of the line."""

import json
from collections.abc import Mapping

_DECODER = json.JSONDecoder()


def stated_after(marker: str, line: str) -> dict[str, object] | None:
    """Parse the JSON object after a marker; None if there is none or it is torn."""
    at = line.find(marker)
    if at < 0:
        return None
    try:
        stated, _ = _DECODER.raw_decode(line, at + len(marker))
    except (ValueError, RecursionError):
        return None
    return stated if isinstance(stated, dict) else None


def count(stated: Mapping[str, object], name: str) -> int | None:
    """A whole number; None if it is absent or of another type, as for all of these."""
    value = stated.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def switch(stated: Mapping[str, object], name: str) -> bool | None:
    """True or false."""
    value = stated.get(name)
    return value if isinstance(value, bool) else None


def number(stated: Mapping[str, object], name: str) -> float | None:
    """A number that a float can hold."""
    value = stated.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def text(stated: Mapping[str, object], name: str) -> str | None:
    """A text."""
    value = stated.get(name)
    return value if isinstance(value, str) else None


def texts(stated: Mapping[str, object], name: str) -> tuple[str, ...] | None:
    """A list, each item as text."""
    value = stated.get(name)
    return tuple(str(item) for item in value) if isinstance(value, list) else None


def texts_by_name(stated: Mapping[str, object], name: str) -> dict[str, str]:
    """An object's values as texts, without those that are null or empty; empty if there is no object."""
    value = stated.get(name)
    return {key: str(item) for key, item in value.items() if item} if isinstance(value, dict) else {}

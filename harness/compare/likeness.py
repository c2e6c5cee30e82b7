"""Whether results measured the same thing, so that their figures can be set side by side."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from harness.errors import ConfigError


class Condition(NamedTuple):
    """What must be equal, in words, and the keys that lead to it: of several paths the first that both have, or one.

    `shown`: the path stands in messages, for users have the document that it leads through.
    """

    words: str
    paths: Sequence[str]
    shown: bool = True


_LONGEST = 72  # of a value in a message: a hash is told whole, a sentence is not


def unlikeness(
    documents: Sequence[Mapping[str, Any]], names: Sequence[str], conditions: Sequence[Condition]
) -> tuple[str, ...]:
    """A sentence for every difference from the first that makes results unlike; `names` are those of the documents."""
    return tuple(
        f"{names[at]} is unlike {names[0]}: {difference}"
        for at, document in enumerate(documents[1:], start=1)
        for condition in conditions
        for difference in _differences(condition, documents[0], document)
    )


def require_alike(unlike: Sequence[str], fix: str, *, force: bool) -> None:
    """ConfigError with all the differences and the fix, unless there are none or they are forced."""
    if unlike and not force:
        raise ConfigError([*unlike, f"{fix}; --force compares them all the same"])


def _differences(condition: Condition, first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    values = [(path, _at(first, path), _at(second, path)) for path in condition.paths]
    path, a, b = max(values, key=lambda it: (it[1] is not None) + (it[2] is not None))  # the first of the most
    if a == b:
        return
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys((*a, *b)):
            if a.get(key) != b.get(key):
                yield f"{condition.words}: {key} {_said(b.get(key))}, not {_said(a.get(key))}"
        return
    where = f" ({path})" if condition.shown else ""
    yield f"{condition.words}{where}: {_said(b)}, not {_said(a)}"


def _at(document: Mapping[str, Any], path: str) -> object:
    value: object = document
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _said(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"

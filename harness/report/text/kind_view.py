"""The view of a kind of run: how its result is shown."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness.runs.kind import Result


class KindView[R: Result](NamedTuple):
    """`rows` are those of `runs show`, of a result that is there; `data` names the columns that programs read."""

    rows: Callable[[R], Sequence[tuple[str, str]]]
    data: tuple[str, ...]

"""The view of a kind of run: how its result is shown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from harness.runs.kind import Result

LIST_COLUMNS = ("GPUs", "step time", "tokens/s/GPU", "TFLOP/s/GPU", "loss")
"""The columns of `runs list` for a result; a kind leaves out what it does not have."""


class KindView[R: Result](NamedTuple):
    """`rows` are those of `runs show`, `cells` those of `runs list` by LIST_COLUMNS, both of a result that is there.

    `data` holds the figures that programs read, the same names with a result and without, null where not known.
    """

    rows: Callable[[R], Sequence[tuple[str, str]]]
    cells: Callable[[R], Mapping[str, str]]
    data: Callable[[R | None], Mapping[str, Any]]

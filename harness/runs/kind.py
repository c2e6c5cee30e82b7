"""What a kind of run says of itself: its result, how its log is read into that, and how many steps it takes.

Everything else of a run is the same for all kinds, and knows none of them by name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from harness.config.provenance import Resolved

type Prediction = Mapping[str, float] | None
"""Figures of the cost model by name; None where it was not asked."""


type ColumnType = str | Mapping[str, "ColumnType"] | Sequence["ColumnType"]
"""A column's type by DuckDB's name: a plain one, of a structure those of its fields, of a list that of its items."""


class Result(Protocol):
    """What a run of some kind came to; a frozen dataclass."""

    @property
    def model(self) -> str | None:
        """The model that it found to be its subject; None where the configuration names it."""

    @property
    def predicted(self) -> Mapping[str, float] | None:
        """What the cost model foresaw of the run, by figure; None where it was not asked."""


class Step(Protocol):
    """One step of a run's work, such as an iteration of training."""

    @property
    def number(self) -> int:
        """Which step it is; the first one is 1."""

    @property
    def total(self) -> int:
        """How many steps the run takes."""

    @property
    def unit(self) -> str:
        """What a step is called, e.g. `step`."""

    @property
    def text(self) -> str:
        """The step's figures in one line, without its number."""


class LogReader(Protocol):
    """Reads the log of a run while it grows, or as a whole; ignores what it does not know and never raises."""

    def feed(self, line: str) -> Step | None:
        """Take one line; the step that it adds, if it adds one."""

    @property
    def versions(self) -> Mapping[str, str] | None:
        """Versions by package as the log states them, None where it states none."""

    @property
    def hosts(self) -> tuple[str, ...] | None:
        """The hosts that the log names, None where it names none."""

    @property
    def samples(self) -> tuple[Any, ...]:
        """What each step measured, as far as has been read: frozen dataclasses, which JSON can hold."""

    def result(self) -> Result:
        """What has been read comes to."""


class RunKind[R: Result](NamedTuple):
    """A kind of run, whose result is an `R`.

    `initial_result` is what is known of the result before the run begins, None if nothing is. `reader` makes a reader
    of the configuration and the run's result so far. `total_steps` is None where the configuration does not say it.
    `column_values` are the result's flat figures by column, also over the columns that all kinds share; `column_types`
    has the type of each that is the kind's own.
    """

    name: str
    result: type[R]
    initial_result: Callable[[Resolved, Prediction], R | None]
    reader: Callable[[Resolved, R | None], LogReader]
    total_steps: Callable[[Resolved], int | None]
    column_types: Mapping[str, ColumnType]
    column_values: Callable[[Resolved, R | None], Mapping[str, Any]]

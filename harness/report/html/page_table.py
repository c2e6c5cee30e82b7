"""Tables of a page as the templates read them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.report.html.run_style import colour_name, dash_array


@dataclass(frozen=True, kw_only=True)
class RunMark:
    """How the line of a run looks: its colour and the dashes of its stroke, as CSS values."""

    colour: str
    dash: str


@dataclass(frozen=True, kw_only=True)
class PageColumn:
    """A column by its name and unit; figures stand to the right."""

    name: str
    unit: str = ""
    numeric: bool = False


@dataclass(frozen=True, kw_only=True)
class PageCell:
    """What a cell says, a note below it, and what it is sorted by where that is not the text."""

    text: str
    note: str = ""
    key: float | str | None = None


@dataclass(frozen=True, kw_only=True)
class PageRow:
    """A row; `run` is the place of the run that it belongs to, with which it is hidden, and `mark` how that looks."""

    cells: Sequence[PageCell]
    run: int | None = None
    mark: RunMark | None = None


@dataclass(frozen=True, kw_only=True)
class PageTable:
    """Rows under columns."""

    columns: Sequence[PageColumn]
    rows: Sequence[PageRow]


def run_mark(place: int) -> RunMark:
    """The mark of the run at a place."""
    return RunMark(colour=colour_name(place), dash=dash_array(place))


def text_table(columns: Sequence[PageColumn], rows: Iterable[Sequence[str]]) -> PageTable:
    """A table of plain texts."""
    return PageTable(columns=columns, rows=[PageRow(cells=[PageCell(text=text) for text in row]) for row in rows])

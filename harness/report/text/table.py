"""Plain-text tables for the terminal. A figure that is not known is shown as a dash."""

from collections.abc import Callable, Iterable, Sequence

from harness.report.text.printable import printable

MISSING = "\u2013"


def plain_table(rows: Iterable[Sequence[str]], headers: Sequence[str] = ()) -> str:
    """Columns aligned by spaces; every cell stays the text it is, fit for a terminal."""
    from tabulate import tabulate  # imported late: most commands print no table

    cells = [[printable(cell) for cell in row] for row in rows]
    return tabulate(cells, headers=headers, tablefmt="simple" if headers else "plain", disable_numparse=True)


def show_known(value: float | None, show: Callable[[float], str]) -> str:
    """A figure, or a dash where it is not known."""
    return MISSING if value is None else show(value)

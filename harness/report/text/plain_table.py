"""Columns of text for the terminal."""

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest

from harness.report.text.printable import printable

MISSING = "\u2013"
"""Shown for a figure that is not known."""

_GAP = "  "


def plain_table(rows: Iterable[Sequence[str]], headers: Sequence[str] = ()) -> str:
    """Columns aligned by spaces, under headers and a rule if there are any; a cell may have several lines.

    Every cell stays the text it is, but for spaces around it, fit for a terminal.
    """
    plain = [[printable(cell).strip() for cell in row] for row in rows]
    if headers and all(len(row) == len(headers) and "\n" not in "".join(row) for row in plain):
        return _even_table(plain, headers)
    cells = [[cell.split("\n") for cell in row] for row in plain]
    count = max([len(headers), *map(len, cells)])
    widths = [len(header) + len(_GAP) for header in headers] or [0] * count
    for row in cells:
        for column, lines in enumerate(row):
            widths[column] = max(widths[column], *map(len, lines))
    rule = [["-" * width] for width in widths]
    head = [[[header] for header in headers], rule] if headers else []
    return "\n".join(_line(line, widths) for row in (*head, *cells) for line in zip_longest(*row, fillvalue=""))


def _even_table(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    """The same of rows of one line, each with a cell under every header: thousands take no time."""
    widths = [len(header) + len(_GAP) for header in headers]
    for column, cells in enumerate(zip(*rows, strict=True)):
        widths[column] = max(widths[column], *map(len, cells))
    line = _GAP.join(f"{{:<{width}}}" for width in widths).format
    return "\n".join(line(*row).rstrip() for row in (headers, ["-" * width for width in widths], *rows))


def show_known(value: float | None, show: Callable[[float], str]) -> str:
    """A figure, or a dash where it is not known."""
    return MISSING if value is None else show(value)


def _line(cells: Iterable[str], widths: Sequence[int]) -> str:
    return _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)).rstrip()

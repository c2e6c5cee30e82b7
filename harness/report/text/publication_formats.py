"""The publication table as Markdown, CSV and LaTeX; what a cell holds stays text in each."""

import csv
import io
import re
from collections.abc import Mapping, Sequence

from harness.report.text.printable import printable
from harness.report.text.publication_table import COLUMNS, CellValue, PublicationColumn

type PublicationRow = Mapping[str, CellValue]

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~$&])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""


def as_markdown(rows: Sequence[PublicationRow]) -> str:
    """A table as GitHub and most others read it, figures to the right."""
    head = [_markdown(column.title) for column in COLUMNS]
    rule = ["--:" if column.numeric else ":--" for column in COLUMNS]
    body = [[_markdown(column.text(row[column.name])) for column in COLUMNS] for row in rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *body))


def as_csv(rows: Sequence[PublicationRow]) -> str:
    """Figures in full, a missing one empty (RFC 4180); no text begins like a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([column.title for column in COLUMNS])
    writer.writerows([_csv(row[column.name]) for column in COLUMNS] for row in rows)
    return text.getvalue()


def as_latex(rows: Sequence[PublicationRow]) -> str:
    """A tabular for the package booktabs, in a font that has all of ASCII (T1 and textcomp)."""
    lines = [
        "% needs \\usepackage{booktabs}, \\usepackage[T1]{fontenc} and \\usepackage{textcomp}",
        f"\\begin{{tabular}}{{{''.join('r' if column.numeric else 'l' for column in COLUMNS)}}}",
        "\\toprule",
        _latex_row([_latex(column.title) for column in COLUMNS]),
        "\\midrule",
        *(_latex_row([_latex_cell(column, row) for column in COLUMNS]) for row in rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


FORMATS = {"md": as_markdown, "csv": as_csv, "tex": as_latex}


def _markdown(text: str) -> str:
    """On one line, without what Markdown or HTML would read."""
    return _MARKDOWN.sub(r"\\\1", _one_line(text))


def _csv(value: CellValue) -> str | int | float:
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if value.startswith(_FORMULA) else text


def _latex_cell(column: PublicationColumn, row: PublicationRow) -> str:
    value = row[column.name]
    return "--" if value is None or value == "" else _latex(column.text(value))


def _latex(text: str) -> str:
    return "".join(_LATEX.get(mark, mark) for mark in _one_line(text)).replace("--", "-{}-")


def _latex_row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())

"""A table of text, wider than the page if it must be."""

from collections.abc import Iterable, Sequence
from html import escape

from harness.report.html.page import PagePart

_STYLE = """\
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; white-space: nowrap; }
th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid var(--line); }
td { font-variant-numeric: tabular-nums; }"""


def render_table(rows: Iterable[Sequence[str]], headers: Sequence[str]) -> PagePart:
    """The rows under their headers."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in headers)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return PagePart(f'<div class="scroll">{table}</div>', _STYLE)

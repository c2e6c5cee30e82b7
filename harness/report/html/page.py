"""The shell of every page, and the parts of running text.

A page is one file that asks no network for anything, and follows the reader's light or dark theme.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple


class PagePart(NamedTuple):
    """A piece of a page: its markup, and the style that it needs, once however many parts have it."""

    markup: str
    style: str = ""


def render_page(title: str, parts: Sequence[PagePart]) -> str:
    """The whole document: the title as its heading, then the parts in their order."""
    styles = "\n".join(dict.fromkeys(part.style for part in parts if part.style))
    body = "\n".join(part.markup for part in parts)
    return _SHELL.format(title=escape(title), theme=_THEME, styles=styles, body=body)


def paragraph(text: str) -> PagePart:
    """Text beside the figures."""
    return PagePart(f"<p>{escape(text, quote=False)}</p>", "p { color: var(--faint); }")


def command_line(text: str) -> PagePart:
    """A command to copy."""
    return PagePart(
        f"<pre>{escape(text)}</pre>",
        "pre { white-space: pre-wrap; padding: .8rem; border: 1px solid var(--line); border-radius: 4px; }",
    )


_THEME = """\
:root {
  color-scheme: light dark;
  --ground: #fbfbfa; --ink: #1d2126; --faint: #6b7280; --line: #d5d8dc; --dot: #8fa3b8; --best: #0b63b0;
  --limit: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #15181c; --ink: #e6e8ea; --faint: #9aa3ad; --line: #363c44; --dot: #5d7186; --best: #6db3f2;
    --limit: #f2857c;
  }
}
body {
  margin: 0 auto; max-width: 84rem; padding: 1.5rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif;
}
h1 { font-size: 1.3rem; }"""

_SHELL = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{theme}
{styles}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""

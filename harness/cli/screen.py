"""What goes to the terminal: colour only where one looks at it, and never into a pipe."""

import os
import sys

import click

from harness.report.text.printable import printable


def error(text: str) -> None:
    """Mistakes, a line each, on stderr."""
    _say("error", "red", text)


def notice(text: str) -> None:
    """Something worth reading, on stderr."""
    _say("notice", "yellow", text)


def progress(text: str) -> None:
    """A line on what is going on, on stderr."""
    click.echo(printable(text), err=True)


def _say(label: str, colour: str, text: str) -> None:
    shown = click.style(f"{label}:", fg=colour, bold=True) if _is_colourful() else f"{label}:"
    for line in text.splitlines():
        click.echo(f"{shown} {printable(line)}", err=True)


def _is_colourful() -> bool:
    """A terminal, and no NO_COLOR (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")

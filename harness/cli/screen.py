"""What goes to the terminal: colour only where one looks at it, and never into a pipe."""

import os
import sys

import click

from harness.report.text.printable import printable


def error(text: str) -> None:
    """Mistakes, a line each, on stderr."""
    _print("error", "red", text)


def notice(text: str) -> None:
    """Something worth reading, on stderr."""
    _print("notice", "yellow", text)


def progress(text: str) -> None:
    """A line on what is going on, on stderr."""
    click.echo(printable(text), err=True)


def _print(label: str, colour: str, text: str) -> None:
    shown = click.style(f"{label}:", fg=colour, bold=True) if _has_colour() else f"{label}:"
    for line in text.splitlines():
        click.echo(f"{shown} {printable(line)}", err=True)


def _has_colour() -> bool:
    """A terminal, and no NO_COLOR (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")

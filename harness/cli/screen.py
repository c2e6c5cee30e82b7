"""Print to the terminal: in colour only on a terminal, never into a pipe."""

import os
import sys

import click

from harness.report.text.printable import printable


def error(text: str) -> None:
    """Print errors on stderr, a line each."""
    _print("error", "red", text)


def notice(text: str) -> None:
    """Print notices on stderr, a line each."""
    _print("notice", "yellow", text)


def progress(text: str) -> None:
    """Print a progress line on stderr."""
    click.echo(printable(text), err=True)


def _print(label: str, colour: str, text: str) -> None:
    shown = click.style(f"{label}:", fg=colour, bold=True) if _has_colour() else f"{label}:"
    for line in text.splitlines():
        click.echo(f"{shown} {printable(line)}", err=True)


def _has_colour() -> bool:
    """A terminal, and no NO_COLOR (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")

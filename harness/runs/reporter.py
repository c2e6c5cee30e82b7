"""Who is told what a run does while it is started: the command line shows it, a test collects it."""

from typing import Protocol


class Reporter(Protocol):
    """Takes messages, each of a line or more."""

    def progress(self, text: str) -> None:
        """What is going on."""

    def notice(self, text: str) -> None:
        """What is worth reading."""

    def error(self, text: str) -> None:
        """What went wrong."""

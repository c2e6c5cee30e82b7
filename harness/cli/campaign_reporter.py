"""Show a campaign's items on the screen while they run, a line an event."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.cli import screen
from harness.cli.steps import Steps
from harness.report.text.event import event_text
from harness.runs.campaign.item import Item
from harness.runs.kinds import KINDS
from harness.runs.local_run import OnStep
from harness.runs.watch.watch import Event, Stepped

STEP_EVERY_S = 10.0
"""The time between two shown steps of one item: every step of many jobs would be too much to read."""


class ScreenReporter:
    """Shows a campaign on stderr."""

    def __init__(self) -> None:
        self._step_shown_s: dict[str | None, float] = {}

    def progress(self, text: str) -> None:
        """Print a line on what is going on."""
        screen.progress(text)

    def notice(self, text: str) -> None:
        """Print what is worth reading."""
        screen.notice(text)

    def error(self, text: str) -> None:
        """Print what went wrong."""
        screen.error(text)

    @contextmanager
    def steps(self, item: Item) -> Iterator[OnStep]:
        """Show every step of an item that runs on this node."""
        with Steps(total=KINDS[item.rendered.job.kind].total_steps(item.resolved)) as steps:
            yield steps.show

    def event(self, item: str | None, event: Event) -> None:
        """Show an event of an item's job on Slurm; steps only now and then."""
        if isinstance(event, Stepped):
            now_s = time.monotonic()
            if now_s - self._step_shown_s.get(item, -STEP_EVERY_S) < STEP_EVERY_S:
                return
            self._step_shown_s[item] = now_s
        screen.progress(event_text(event) if item is None else f"{item}: {event_text(event)}")

"""The jobs of a sweep as they go, a line an event."""

import time

from harness.cli import screen
from harness.cli.events import told
from harness.runs.record import UNFINISHED
from harness.runs.store import StoredRun
from harness.runs.submission import end_hopeless
from harness.runs.watch.watch import NeverStarts, SlurmSilent, Stepped, watch

STEP_EVERY_S = 10.0
"""How often the steps of one point are told: of many jobs at once every step would be too much to read."""


def follow(runs: dict[str, StoredRun], *, every_s: float) -> None:
    """Follow the runs of all points to their ends, and put each as it then stands into `runs`."""
    points = {run.folder: point for point, run in runs.items()}
    told_s: dict[str, float] = {}
    under_way = [run for run in runs.values() if run.record.status in UNFINISHED]
    for event in watch(under_way, every_s=every_s):
        if isinstance(event, SlurmSilent):
            screen.progress(told(event))
            continue
        point = points[event.run.folder]
        if isinstance(event, NeverStarts):
            runs[point], text = end_hopeless(event.run, event.job, event.reason)
            screen.error(f"{point}: {text}")
            continue
        runs[point] = event.run
        if isinstance(event, Stepped) and time.monotonic() - told_s.get(point, -STEP_EVERY_S) < STEP_EVERY_S:
            continue
        if isinstance(event, Stepped):
            told_s[point] = time.monotonic()
        screen.progress(f"{point}: {told(event)}")

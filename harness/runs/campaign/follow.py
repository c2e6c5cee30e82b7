"""Follow the Slurm jobs of a campaign's items."""

from harness.runs.campaign.driver import CampaignReporter
from harness.runs.record import UNFINISHED
from harness.runs.store import StoredRun
from harness.runs.submission import cancel_never_starting
from harness.runs.watch.watch import NeverStarts, SlurmSilent, watch


def follow(runs: dict[str, StoredRun], reporter: CampaignReporter, *, every_s: float) -> None:
    """Follow the runs of all items to their ends, and put each as it then stands into `runs`.

    A job that can never start is cancelled.
    """
    names = {run.folder: name for name, run in runs.items()}
    under_way = [run for run in runs.values() if run.record.status in UNFINISHED]
    for event in watch(under_way, every_s=every_s):
        if isinstance(event, SlurmSilent):
            reporter.event(None, event)
            continue
        name = names[event.run.folder]
        if isinstance(event, NeverStarts):
            runs[name], message = cancel_never_starting(event.run, event.job, event.reason)
            reporter.error(f"{name}: {message}")
            continue
        runs[name] = event.run
        reporter.event(name, event)

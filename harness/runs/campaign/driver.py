"""What drives a campaign's items to their ends, and to whom it reports."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from harness.runs.campaign.item import Item
from harness.runs.local_run import OnStep
from harness.runs.reporter import Reporter
from harness.runs.store import StoredRun
from harness.runs.watch.watch import Event


class CampaignReporter(Reporter, Protocol):
    """Takes messages, and what happens to items."""

    def steps(self, item: Item) -> AbstractContextManager[OnStep]:
        """Takes the steps of an item that runs on this node, as long as it runs."""

    def event(self, item: str | None, event: Event) -> None:
        """Takes what happens to an item's job on Slurm, by the item's name; None: to Slurm itself."""


@dataclass(frozen=True, kw_only=True)
class RecoveredRuns:
    """What earlier drivers of a campaign left, by item: runs as they stand, and runs that never became a job."""

    runs: Mapping[str, StoredRun]
    unsubmitted: Mapping[str, StoredRun] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CampaignOutcome:
    """The runs of all items as they stand; `detached`: Ctrl-C ended the driver, and Slurm's jobs go on without it."""

    runs: Mapping[str, StoredRun]
    detached: bool = False


class CampaignDriver(Protocol):
    """Runs a campaign's items; whoever calls it holds the campaign's lock."""

    def recover(self) -> RecoveredRuns:
        """Clear up what an earlier driver left half done, and return the runs as they stand then."""

    def run(self, recovered: RecoveredRuns, pending: Sequence[Item]) -> CampaignOutcome:
        """Run the pending items, and follow all that are under way to their ends."""

"""Which run each item of a campaign has, as the runs' own records tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.runs.store import StoredRun, list_runs


@dataclass(frozen=True, kw_only=True)
class ItemRuns:
    """The newest run of each item, by the item's name, and why records that may be of the campaign cannot be read."""

    newest: Mapping[str, StoredRun]
    unreadable: tuple[str, ...]


def runs_of_items(root: Path, campaign: str) -> ItemRuns:
    """Find the runs of a campaign's items under a root; of an item that was run again, the newest."""
    found = list_runs(root)
    newest: dict[str, StoredRun] = {}
    for run in found.runs:
        membership = run.record.campaign
        if membership is not None and membership.campaign == campaign:
            newest.setdefault(membership.item, run)
    unreadable = tuple(problem for path, problem in found.unreadable.items() if _may_be_of(path, campaign))
    return ItemRuns(newest=newest, unreadable=unreadable)


def _may_be_of(path: Path, campaign: str) -> bool:
    """Whether a record that cannot be read is of a campaign: it names it, or breaks off before it could."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False  # another user's
    names_it = f'"campaign": "{campaign}"' in text or f'"sweep": "{campaign}"' in text  # up to version 2 of records
    return names_it or not text.rstrip().endswith("}")

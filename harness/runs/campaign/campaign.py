"""A campaign that can run: its name, its folder, and which of its items have a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.executor import Executor
from harness.launch.run import Run
from harness.launch.script.render import RenderedJob
from harness.launch.slurm.lanes import require_joinable
from harness.runs.campaign.assess import AssessedItems
from harness.runs.campaign.item import Item
from harness.runs.campaign.item_runs import runs_of_items
from harness.runs.campaign.manifest import CampaignManifest, campaign_folder, derived_name, manifest_of
from harness.runs.campaign.manifest_differences import require_same_manifest
from harness.runs.record import CampaignItem
from harness.runs.store import StoredRun

type OpenRun = Callable[[Resolved, RenderedJob], Run]


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """`root` holds the runs' folders, `folder` the campaign's own; `items` are those that can run.

    `open_run` makes the folder of a run, as runs of the items' kind are opened.
    """

    name: str
    root: Path
    folder: Path
    executor: Executor
    manifest: CampaignManifest
    items: tuple[Item, ...]
    open_run: OpenRun

    def membership(self, item: Item) -> CampaignItem:
        """What the record of an item's run says of the campaign."""
        return CampaignItem(campaign=self.name, item=item.name, repeat=item.repeat)

    def require_lanes(self) -> None:
        """ConfigError if Slurm cannot make the jobs wait for one another."""
        for item in self.items:
            require_joinable(item.rendered.job.resources.sbatch_args)

    def require_same(self) -> None:
        """ConfigError says in what the campaign differs from the one of its name that was begun before."""
        require_same_manifest(self.folder, self.manifest)

    def stored(self) -> dict[str, StoredRun]:
        """The newest run of each item that has one, as its record stands; ConfigError if a record cannot be read."""
        found = runs_of_items(self.root, self.name)
        if found.unreadable:
            raise ConfigError(
                [
                    f"{text}; it may be of this sweep, and its point would run twice: mend it, or take its folder away"
                    for text in found.unreadable
                ]
            )
        return dict(found.newest)

    def pending(self, stored: Mapping[str, StoredRun], *, retry_failed: bool) -> list[Item]:
        """The items to run: those without a run, and with `retry_failed` those whose run failed or was cancelled."""
        again = ("failed", "cancelled") if retry_failed else ()
        items = ((item, stored.get(item.name)) for item in self.items)
        return [item for item, run in items if run is None or run.record.status in again]


def campaign_of(
    assessed: AssessedItems,
    executor: Executor,
    *,
    open_run: OpenRun,
    name: str | None = None,
    options: Sequence[str] = (),
) -> Campaign:
    """The campaign of items that were assessed for an executor, with further `options` of sbatch.

    Without a `name` it has one derived of its items. ConfigError if no item can run, or if they would not share a
    folder.
    """
    if not assessed.items:
        raise ConfigError(_reasons(assessed.refused))
    outputs = list(dict.fromkeys(item.resolved.text("OUTPUT_PATH") for item in assessed.items))
    if len(outputs) > 1:
        raise ConfigError(f"the points of a sweep share one folder, and OUTPUT_PATH is {' and '.join(outputs)}; set it")
    if not outputs[0]:
        raise ConfigError("OUTPUT_PATH is not set, and each run needs a folder in it; set OUTPUT_PATH=FOLDER")
    root = Path(outputs[0])
    manifest = manifest_of(executor, assessed.resolved, options)
    name = derived_name(manifest, tuple(assessed.items[0].values)) if name is None else name
    return Campaign(
        name=name,
        root=root,
        folder=campaign_folder(root, name),
        executor=executor,
        manifest=manifest,
        items=assessed.items,
        open_run=open_run,
    )


def _reasons(refused: Mapping[str, Sequence[str]]) -> list[str]:
    """Why no item can run: the reasons alone where all items have the same."""
    reasons = [tuple(problems) for problems in refused.values()]
    if len(set(reasons)) == 1:
        return list(reasons[0])
    return [f"{name}: {text}" for name, problems in refused.items() for text in problems]

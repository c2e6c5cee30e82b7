"""Run a campaign: whoever gives the same command again goes on where it was interrupted."""

from collections.abc import Callable, Mapping, Sequence

from harness.runs.campaign.campaign import Campaign
from harness.runs.campaign.driver import CampaignDriver, CampaignOutcome, CampaignReporter
from harness.runs.campaign.item import Item
from harness.runs.campaign.local_driver import LocalDriver
from harness.runs.campaign.lock import hold
from harness.runs.campaign.manifest import save_manifest
from harness.runs.campaign.slurm_driver import SlurmDriver
from harness.runs.store import StoredRun


def run_campaign(
    campaign: Campaign,
    reporter: CampaignReporter,
    *,
    confirm: Callable[[Mapping[str, StoredRun], Sequence[Item]], bool],
    retry_failed: bool = False,
    max_jobs: int | None = None,
    every_s: float,
) -> CampaignOutcome | None:
    """Run the items that have no run, with `retry_failed` also those that failed or were cancelled, to their ends.

    `confirm` gets the runs that there are and the items that are pending; None is returned if it declines, and
    nothing is started. On Slurm at most `max_jobs` jobs run at once, and it is asked for them every `every_s` seconds.
    CampaignBusy if another process runs the campaign; ConfigError if it was begun with another manifest.
    """
    driver: CampaignDriver
    if campaign.executor == "slurm":
        driver = SlurmDriver(campaign, reporter, max_jobs=max_jobs, every_s=every_s)
    else:
        driver = LocalDriver(campaign, reporter)
    with hold(campaign.folder):
        campaign.require_same()
        recovered = driver.recover()
        pending = campaign.pending(recovered.runs, retry_failed=retry_failed)
        if not confirm(recovered.runs, pending):
            return None
        save_manifest(campaign.folder, campaign.manifest)
        return driver.run(recovered, pending)

"""A campaign on this node: one item after another, in this process."""

from collections.abc import Sequence

from harness.errors import EnvironmentProblem
from harness.launch.processes import end_leftovers
from harness.launch.supervisor_lock import is_supervised
from harness.runs.campaign.campaign import Campaign
from harness.runs.campaign.driver import CampaignOutcome, CampaignReporter, RecoveredRuns
from harness.runs.campaign.item import Item
from harness.runs.local_run import report_failure, run_local
from harness.runs.reconcile.reconcile import reconcile_all
from harness.runs.record import UNFINISHED
from harness.runs.store import StoredRun


class LocalDriver:
    """Holding the campaign's lock, it is the only one; a run still under way has lost its driver, and is run again."""

    def __init__(self, campaign: Campaign, reporter: CampaignReporter) -> None:
        self._campaign = campaign
        self._reporter = reporter

    def recover(self) -> RecoveredRuns:
        """The runs that have ended; what a driver that died left running is ended, and counts as none."""
        stored = self._campaign.stored()
        orphans = {name: run for name, run in stored.items() if run.record.status in UNFINISHED}
        for name, run in orphans.items():
            self._end_orphan(name, run)
        reconcile_all(list(orphans.values()))
        return RecoveredRuns(runs={name: run for name, run in stored.items() if name not in orphans})

    def run(self, recovered: RecoveredRuns, pending: Sequence[Item]) -> CampaignOutcome:
        """Run until all is done, or until Ctrl-C ends the run under way and with it the campaign."""
        runs = dict(recovered.runs)
        for number, item in enumerate(pending, start=1):
            self._reporter.progress(f"point {number} of {len(pending)}: {item.name}")
            runs[item.name] = self._run_item(item)
            if runs[item.name].record.status == "cancelled":
                self._reporter.notice(
                    f"the same command goes on with the rest; --retry-failed runs {item.name} again too"
                )
                break
        return CampaignOutcome(runs=runs)

    def _run_item(self, item: Item) -> StoredRun:
        run = self._campaign.open_run(item.resolved, item.rendered)
        for text in run.notices:
            self._reporter.notice(text)
        with self._reporter.steps(item) as on_step:
            record = run_local(
                run,
                item.resolved,
                predicted=item.predicted,
                campaign=self._campaign.membership(item),
                reporter=self._reporter,
                on_step=on_step,
            )
        report_failure(record, self._reporter)
        return StoredRun(folder=run.paths.root, record=record)

    def _end_orphan(self, name: str, run: StoredRun) -> None:
        """End what a driver that died left running."""
        host = run.record.job.host
        if is_supervised(run.paths) is None:
            raise EnvironmentProblem(
                f"{name} was under way on {host} when its driver died, and only there can be seen whether it still is;"
                f" give this command on {host}, or remove {run.folder}"
            )
        self._reporter.notice(f"{name}: the driver died while it ran, so it is run again; run: {run.folder}")
        end_leftovers(run.folder)

"""A campaign on Slurm: a job an item, submitted once whatever happens to this process, and followed."""

import time
from collections.abc import Mapping, Sequence

from harness.errors import EnvironmentProblem
from harness.launch.processes import processes_of
from harness.launch.run import Run
from harness.launch.slurm.lanes import lane_options
from harness.runs.campaign.campaign import Campaign
from harness.runs.campaign.driver import CampaignOutcome, CampaignReporter, RecoveredRuns
from harness.runs.campaign.item import Item
from harness.runs.reconcile.reconcile import reconcile_all
from harness.runs.reconcile.recover_job import never_became_a_job
from harness.runs.record import UNFINISHED
from harness.runs.store import StoredRun
from harness.runs.submission import PATIENCE_S, await_initial_state, cancel_never_starting, submit_run
from harness.runs.watch.watch import NeverStarts, SlurmSilent, watch

_SBATCH_S = 120
"""How long an sbatch that outlived its driver is waited for; without its controller it gives up far sooner."""


class SlurmDriver:
    """Holding the campaign's lock, nobody else is between a record and its job but an sbatch whose driver died.

    At most `max_jobs` jobs run at once; Slurm is asked for them every `every_s` seconds.
    """

    def __init__(self, campaign: Campaign, reporter: CampaignReporter, *, max_jobs: int | None, every_s: float) -> None:
        self._campaign = campaign
        self._reporter = reporter
        self._max_jobs = max_jobs
        self._every_s = every_s

    def recover(self) -> RecoveredRuns:
        """The runs as they stand. EnvironmentProblem if Slurm does not say which of them have a job."""
        stored = self._campaign.stored()
        for run in stored.values():
            if never_became_a_job(run.record):
                _await_sbatch(run)
        reconciled = reconcile_all(list(stored.values()))
        runs = dict(zip(stored, reconciled.runs, strict=True))
        unsubmitted = {name: run for name, run in runs.items() if never_became_a_job(run.record)}
        if unsubmitted and reconciled.unreachable:
            raise EnvironmentProblem(
                f"Slurm does not answer ({reconciled.unreachable}), and only it knows whether it has the jobs of"
                f" {', '.join(unsubmitted)}; give this command again when it does"
            )
        submitted = {name: run for name, run in runs.items() if name not in unsubmitted}
        return RecoveredRuns(runs=submitted, unsubmitted=unsubmitted)

    def run(self, recovered: RecoveredRuns, pending: Sequence[Item]) -> CampaignOutcome:
        """Submit, and follow all that is under way to its end, or to Ctrl-C, which leaves the jobs alone."""
        runs = dict(recovered.runs)
        try:
            self._submit_all(pending, runs, recovered.unsubmitted)
            self._await_initial_states(runs, pending)
            self._follow(runs)
        except KeyboardInterrupt:
            self._reporter.notice(
                "the jobs go on without this command; the same command follows them again, and submits the rest"
            )
            return CampaignOutcome(runs=runs, detached=True)
        return CampaignOutcome(runs=runs)

    def _submit_all(
        self, pending: Sequence[Item], runs: dict[str, StoredRun], unsubmitted: Mapping[str, StoredRun]
    ) -> None:
        """Submit each item, its run into `runs`. EnvironmentProblem says how many are submitted."""
        noticed: set[str] = set()
        unfinished = sum(run.record.status in UNFINISHED for run in runs.values())
        for number, item in enumerate(pending):
            try:
                run = self._open(item, unsubmitted.get(item.name))
                for text in run.notices:
                    if text not in noticed:
                        self._reporter.notice(text)
                noticed |= {*run.notices}
                runs[item.name] = self._submit(item, run, unfinished + number)
            except EnvironmentProblem as problem:
                raise EnvironmentProblem(
                    f"{problem}\n{item.name} and what comes after it were not submitted; {number} of {len(pending)}"
                    " jobs are in, and the same command goes on with the rest"
                ) from problem
            job_id = runs[item.name].record.job.job_id
            self._reporter.progress(f"{item.name}: submitted job {job_id}, {number + 1} of {len(pending)}")

    def _open(self, item: Item, unsubmitted: StoredRun | None) -> Run:
        """A new folder; or that of a run that never became a job: should it be one after all, only one can run."""
        if unsubmitted is None or unsubmitted.removed:
            return self._campaign.open_run(item.resolved, item.rendered)
        return Run(job=item.rendered.job, paths=unsubmitted.paths)

    def _submit(self, item: Item, run: Run, number: int) -> StoredRun:
        options: tuple[str, ...] = ()
        if self._max_jobs is not None:
            lane = number % self._max_jobs
            options = lane_options(self._campaign.name, lane, item.rendered.job.resources.sbatch_args)
        membership = self._campaign.membership(item)
        return submit_run(run, item.resolved, predicted=item.predicted, options=options, campaign=membership)

    def _await_initial_states(self, runs: dict[str, StoredRun], submitted: Sequence[Item]) -> None:
        """Wait until Slurm has looked at the new jobs; those that can never start are cancelled, and reported."""
        deadline = time.monotonic() + PATIENCE_S
        for item in submitted:
            state = await_initial_state(runs[item.name], patience_s=max(0.0, deadline - time.monotonic()))
            if state.never_starts:
                runs[item.name] = state.run
                self._reporter.error(f"{item.name}: {state.never_starts}")

    def _follow(self, runs: dict[str, StoredRun]) -> None:
        """Follow the runs of all items to their ends, and put each as it then stands into `runs`.

        A job that can never start is cancelled.
        """
        names = {run.folder: name for name, run in runs.items()}
        unfinished = [run for run in runs.values() if run.record.status in UNFINISHED]
        for event in watch(unfinished, every_s=self._every_s):
            if isinstance(event, SlurmSilent):
                self._reporter.event(None, event)
                continue
            name = names[event.run.folder]
            if isinstance(event, NeverStarts):
                runs[name], message = cancel_never_starting(event.run, event.job, event.reason)
                self._reporter.error(f"{name}: {message}")
                continue
            runs[name] = event.run
            self._reporter.event(name, event)


def _await_sbatch(run: StoredRun) -> None:
    """Wait for an sbatch that outlived the driver that called it: it carries the run's folder in its environment."""
    deadline = time.monotonic() + _SBATCH_S
    while found := processes_of(run.folder, named="sbatch"):
        if time.monotonic() > deadline:
            raise EnvironmentProblem(
                f"process {found[0]} of an earlier start is still submitting {run.folder}; end it, then give this"
                " command again"
            )
        time.sleep(0.1)

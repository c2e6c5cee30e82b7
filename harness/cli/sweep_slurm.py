"""A sweep on Slurm: a job a point, submitted once whatever happens to this process, and followed."""

import time
from collections.abc import Mapping, Sequence

import click

from harness.cli import request, screen
from harness.cli.main import STOPPED
from harness.cli.sweep_follow import follow
from harness.cli.sweep_plan import Sweep, Taken
from harness.cli.sweep_points import SweepJob
from harness.errors import EnvironmentProblem
from harness.launch.processes import processes_of
from harness.launch.run import Run
from harness.launch.slurm.lanes import lane_options
from harness.runs.reconcile.reconcile import reconcile_all
from harness.runs.reconcile.recover_job import never_became_a_job
from harness.runs.record import UNFINISHED
from harness.runs.store import StoredRun
from harness.runs.submission import PATIENCE_S, first_word, submit_recorded
from harness.training.open_training import open_training

_SBATCH_S = 120
"""How long an sbatch that outlived its driver is waited for; without its controller it gives up far sooner."""


class SlurmDriver:
    """Holding the sweep's lock, nobody else is between a record and its job but an sbatch whose driver died."""

    def __init__(self, sweep: Sweep, *, max_jobs: int | None, every_s: float) -> None:
        self._sweep = sweep
        self._max_jobs = max_jobs
        self._every_s = every_s

    def take_over(self) -> Taken:
        """The runs of points as they stand. EnvironmentProblem if Slurm does not say which have a job."""
        found = self._sweep.stored()
        for run in found.values():
            if never_became_a_job(run.record):
                _await_sbatch(run)
        reconciled = reconcile_all(list(found.values()))
        runs = dict(zip(found, reconciled.runs, strict=True))
        unsent = {point: run for point, run in runs.items() if never_became_a_job(run.record)}
        if unsent and reconciled.unreachable:
            raise EnvironmentProblem(
                f"Slurm does not answer ({reconciled.unreachable}), and only it knows whether it has the jobs of"
                f" {', '.join(unsent)}; give this command again when it does"
            )
        return Taken(runs={point: run for point, run in runs.items() if point not in unsent}, unsent=unsent)

    def drive(self, taken: Taken, pending: Sequence[SweepJob]) -> Mapping[str, StoredRun]:
        """Submit, and follow all that is under way to its end, or to Ctrl-C, which leaves the jobs alone."""
        runs = dict(taken.runs)
        try:
            self._submit(pending, runs, taken.unsent)
            _hear(runs, [job.point.name for job in pending])
            follow(runs, every_s=self._every_s)
        except KeyboardInterrupt:
            screen.notice(
                "the jobs go on without this command; the same command follows them again, and submits the rest"
            )
            raise click.exceptions.Exit(STOPPED) from None
        return runs

    def _submit(self, pending: Sequence[SweepJob], runs: dict[str, StoredRun], unsent: Mapping[str, StoredRun]) -> None:
        """Each job into `runs`. EnvironmentProblem tells how far it came."""
        told: set[str] = set()
        under_way = sum(run.record.status in UNFINISHED for run in runs.values())
        for number, job in enumerate(pending):
            point, lane = job.point.name, self._lane(job, under_way + number)
            try:
                run = _opened(job, unsent.get(point))
                request.say_notices([text for text in run.notices if text not in told])
                told |= {*run.notices}
                runs[point] = submit_recorded(
                    run, job.resolved, predicted=job.predicted, options=lane, sweep=self._sweep.label(job)
                )
            except EnvironmentProblem as problem:
                raise EnvironmentProblem(
                    f"{problem}\n{point} and what comes after it were not submitted; {number} of {len(pending)} jobs"
                    " are in, and the same command goes on with the rest"
                ) from problem
            job_id = runs[point].record.job.job_id
            screen.progress(f"{point}: submitted job {job_id}, {number + 1} of {len(pending)}")

    def _lane(self, job: SweepJob, number: int) -> tuple[str, ...]:
        if self._max_jobs is None:
            return ()
        return lane_options(self._sweep.name, number % self._max_jobs, job.launch.job.resources.sbatch_args)


def _opened(job: SweepJob, unsent: StoredRun | None) -> Run:
    """A new folder; or that of a run that never became a job: should it be one after all, only one can run."""
    if unsent is None or unsent.removed:
        return open_training(job.resolved, job.launch)
    return Run(job=job.launch.job, paths=unsent.paths, notices=())


def _hear(runs: dict[str, StoredRun], points: Sequence[str]) -> None:
    """What Slurm says first of new jobs: those that could never start are cancelled, and told."""
    deadline = time.monotonic() + PATIENCE_S
    for point in points:
        word = first_word(runs[point], patience_s=max(0.0, deadline - time.monotonic()))
        if word.hopeless:
            runs[point] = word.run
            screen.error(f"{point}: {word.hopeless}")


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

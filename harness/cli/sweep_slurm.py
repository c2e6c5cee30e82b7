"""A sweep on Slurm: a job a point, submitted once whatever happens to this process, and followed."""

import time
from collections.abc import Mapping, Sequence

import click

from harness.cli import request, screen
from harness.cli.main import STOPPED
from harness.cli.sweep_follow import follow
from harness.cli.sweep_plan import Sweep
from harness.cli.sweep_points import SweepJob
from harness.errors import EnvironmentProblem
from harness.launch.processes import processes_of
from harness.launch.run import Run, open_run
from harness.launch.rundir import RunPaths
from harness.launch.sweep import lane_options
from harness.results.record import UNFINISHED, RunRecord
from harness.results.settle import settle_all
from harness.results.store import StoredRun
from harness.results.submission import PATIENCE_S, first_word, submit_recorded
from harness.results.triage.own_causes import NEVER_SUBMITTED

_SBATCH_S = 120
"""How long an sbatch that outlived its driver is waited for; without its controller it gives up far sooner."""


class SlurmDriver:
    """Holding the sweep's lock, nobody else is between a record and its job but an sbatch whose driver died."""

    def __init__(self, sweep: Sweep, *, max_jobs: int | None, every_s: float) -> None:
        self._sweep = sweep
        self._max_jobs = max_jobs
        self._every_s = every_s
        self._unsent: Mapping[str, StoredRun] = {}
        self._stored: Mapping[str, StoredRun] = {}

    def take_over(self) -> Mapping[str, StoredRun]:
        """The runs of points that have a job, as they stand. EnvironmentProblem if Slurm does not say which have."""
        found = self._sweep.stored()
        for run in found.values():
            if _is_unsent(run.record):
                _await_sbatch(run)
        settled = settle_all(list(found.values()))
        runs = dict(zip(found, settled.runs, strict=True))
        self._unsent = {point: run for point, run in runs.items() if _is_unsent(run.record)}
        if self._unsent and settled.unreachable:
            raise EnvironmentProblem(
                f"Slurm does not answer ({settled.unreachable}), and only it knows whether it has the jobs of"
                f" {', '.join(self._unsent)}; give this command again when it does"
            )
        self._stored = {point: run for point, run in runs.items() if point not in self._unsent}
        return self._stored

    def drive(self, pending: Sequence[SweepJob]) -> Mapping[str, StoredRun]:
        """Submit, and follow all that is under way to its end, or to Ctrl-C, which leaves the jobs alone."""
        runs = dict(self._stored)
        try:
            self._submit(pending, runs)
            _hear(runs, [job.point.name for job in pending])
            follow(runs, every_s=self._every_s)
        except KeyboardInterrupt:
            screen.notice(
                "the jobs go on without this command; the same command follows them again, and submits the rest"
            )
            raise click.exceptions.Exit(STOPPED) from None
        return runs

    def _submit(self, pending: Sequence[SweepJob], runs: dict[str, StoredRun]) -> None:
        """Each job into `runs`. EnvironmentProblem tells how far it came."""
        told: set[str] = set()
        under_way = sum(run.record.status in UNFINISHED for run in runs.values())
        for number, job in enumerate(pending):
            point, lane = job.point.name, self._lane(job, under_way + number)
            try:
                run = self._opened(job)
                request.say_notices([text for text in run.notices if text not in told])
                told |= {*run.notices}
                record = submit_recorded(
                    run, job.resolved, predicted=job.predicted, options=lane, sweep=self._sweep.label(job)
                )
            except EnvironmentProblem as problem:
                raise EnvironmentProblem(
                    f"{problem}\n{point} and what comes after it were not submitted; {number} of {len(pending)} jobs"
                    " are in, and the same command goes on with the rest"
                ) from problem
            runs[point] = StoredRun(folder=run.paths.root, record=record)
            screen.progress(f"{point}: submitted job {record.job.job_id}, {number + 1} of {len(pending)}")

    def _opened(self, job: SweepJob) -> Run:
        """A new folder; or that of a run that never became a job: should it be one after all, only one can run."""
        unsent = self._unsent.get(job.point.name)
        if unsent is None or unsent.removed:
            return open_run(job.resolved, job.launch)
        return Run(spec=job.launch.spec, paths=RunPaths(unsent.folder), notices=())

    def _lane(self, job: SweepJob, number: int) -> tuple[str, ...]:
        if self._max_jobs is None:
            return ()
        return lane_options(self._sweep.name, number % self._max_jobs, job.launch.spec.sbatch_args)


def _hear(runs: dict[str, StoredRun], points: Sequence[str]) -> None:
    """What Slurm says first of new jobs: those that could never start are cancelled, and told."""
    deadline = time.monotonic() + PATIENCE_S
    for point in points:
        word = first_word(runs[point].record, patience_s=max(0.0, deadline - time.monotonic()))
        if word.reason and (word.refused or word.complaint):
            runs[point] = StoredRun(folder=runs[point].folder, record=word.record)
            end = f"could not be cancelled: {word.complaint}" if word.complaint else "was cancelled"
            screen.error(f"{point}: {word.reason.meaning}; {word.reason.fix}; the job {end}")


def _is_unsent(record: RunRecord) -> bool:
    """Whether a run is not known to have become a job."""
    cause = record.error.cause if record.error else None
    never = cause is not None and cause.name == NEVER_SUBMITTED.name
    return record.job.job_id is None and (record.status == "submitted" or never)


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

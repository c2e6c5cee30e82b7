"""Find the runs that a user names, and reconcile them."""

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import screen
from harness.disk import expanded, is_folder
from harness.errors import EnvironmentProblem, HarnessError
from harness.runs.record import JOB_ID, UNFINISHED, RunRecord
from harness.runs.root import default_root
from harness.runs.store import RunNotFound, StoredRun, find_run, list_runs

if TYPE_CHECKING:  # what asks Slurm is imported where there is a run that has not ended
    from harness.launch.slurm.job_state import JobState
    from harness.runs.reconcile.reconcile import Reconciled


def _root(ctx: click.Context, param: click.Parameter, value: str | None) -> Path:
    if value is None:
        root = default_root()
        if os.environ.get("OUTPUT_PATH") and not is_folder(root):
            screen.notice(f"OUTPUT_PATH={root} is no folder, so there are no runs in it")
        return root
    folder = expanded(value)
    if not is_folder(folder):
        raise click.BadParameter(f"{value} is no folder", ctx, param)
    return folder


ROOT = click.option(
    "--output-path",
    "root",
    metavar="FOLDER",
    callback=_root,
    help="Where the runs are; without it OUTPUT_PATH, as exported or in the conf of the CLUSTER that is exported.",
)


EVERY_S = 5.0
"""The default interval at which Slurm is asked, long enough for the controller of a large cluster."""


def _finite(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no time", ctx, param)
    return value


EVERY = click.option(
    "--every",
    "every_s",
    type=click.FloatRange(min=0.05),
    default=EVERY_S,
    show_default=True,
    callback=_finite,
    metavar="SECONDS",
    help="How often Slurm is asked.",
)


class NotOurs(HarnessError):
    """The job id belongs to none of the runs."""


def runs_of(root: Path, names: Sequence[str]) -> tuple[StoredRun, ...]:
    """Find each run once, by id, the beginning of its id, folder, or Slurm job id. RunNotFound, NotOurs.

    The job id of an array means the runs of all its tasks, in the tasks' order.
    """
    found = {run.folder: run for name in names for run in _runs_of(root, name)}
    return tuple(found.values())


def run_of(root: Path, name: str) -> StoredRun:
    """Find one run; RunNotFound also where the name is that of an array of several."""
    first, *others = runs_of(root, [name])
    if others:
        tasks = [run.record.job.job_id or "" for run in (first, *others)]
        raise RunNotFound(f"{name}: this array job has {len(tasks)} runs, {tasks[0]} to {tasks[-1]}; name one of them")
    return first


def unfinished(root: Path) -> tuple[StoredRun, ...]:
    """List all runs that have not ended, the oldest first."""
    found = list_runs(root)
    for warning in found.warnings:
        screen.notice(warning)
    return tuple(run for run in reversed(found.runs) if run.record.status in UNFINISHED)


def reconciled_runs(runs: Sequence[StoredRun]) -> "tuple[tuple[StoredRun, ...], Reconciled | None]":
    """Reconcile the runs, and return also Slurm's view of those that have not ended; problems go to the screen."""
    if all(run.record.status not in UNFINISHED for run in runs):
        return tuple(runs), None
    from harness.runs.reconcile.reconcile import reconcile_all

    reconciled = reconcile_all(runs)
    if reconciled.unreachable:
        screen.notice(f"Slurm does not answer ({reconciled.unreachable}): its runs are shown as they were last known")
    for run in reconciled.runs:
        if run.removed:
            screen.notice(f"{run.folder} was removed before the run had ended; its record is kept there")
        if run.problem:
            screen.error(run.problem)
    return reconciled.runs, reconciled


def with_its_log(run: StoredRun, *, most_bytes: int = sys.maxsize) -> tuple[StoredRun, Sequence[Any] | None]:
    """Return the run as its log states it, and the samples; None of a run that has ended, whose record has all."""
    if run.record.status not in UNFINISHED:
        return run, None
    from harness.runs.log_reading import read_log_at

    try:
        reading = read_log_at(run.record, run.paths.log, most_bytes=most_bytes)
    except EnvironmentProblem as problem:
        if str(problem) != run.problem:  # which is on the screen already
            screen.error(str(problem))
        return run, None
    return replace(run, record=reading.record), reading.samples


def _runs_of(root: Path, name: str) -> Sequence[StoredRun]:
    if not JOB_ID.fullmatch(name):
        return [find_run(root, name)]
    runs = list_runs(root).runs
    if run := next((run for run in runs if name in _job_ids(run.record)), None):
        return [run]
    if tasks := [run for run in runs if run.record.job.array_id == name]:
        return sorted(tasks, key=lambda run: run.record.job.task or 0)
    try:
        return [find_run(root, name)]
    except RunNotFound:
        raise NotOurs(_whose(root, name)) from None


def _job_ids(record: RunRecord) -> set[str | None]:
    """The ids of all jobs of the run: a user may have resubmitted its script."""
    return {record.job.job_id, *(attempt.job_id for attempt in record.attempts)}


def _whose(root: Path, job_id: str) -> str:
    from harness.launch.slurm.queue import ask

    view = ask([job_id])
    job: JobState | None = view.states.get(job_id)
    if job:
        return (
            f"{job_id}: no run in {root} has this job; to Slurm it is {job.user}'s, {job.state_text}, in {job.work_dir}"
        )
    why = f"Slurm does not answer ({view.unreachable})" if view.unreachable else "Slurm does not know it either"
    return f"{job_id}: no run in {root} has this job, and {why}; moe-harness runs list shows the runs"

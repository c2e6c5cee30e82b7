"""`moe-harness runs cancel`."""

import time
from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli import screen
from harness.cli.run_lookup import ROOT, reconciled_runs, runs_of, unfinished
from harness.errors import ConfigError
from harness.runs.cancellation import can_be_ended_here, request_end
from harness.runs.reconcile.recover_job import is_without_job
from harness.runs.record import UNFINISHED
from harness.runs.root import named
from harness.runs.store import StoredRun

_PATIENCE_S = 45.0
"""Slurm gives a job's processes 30 s, by its default, between its TERM and its KILL; a supervisor 15 s."""

_POLL_S = 0.5


@click.command("cancel")
@click.argument("runs", nargs=-1, metavar="RUN…")
@ROOT
@click.option("--all", "everything", is_flag=True, help="All Slurm runs that have not ended.")
def command(runs: Sequence[str], root: Path, everything: bool) -> int:
    """End runs under Slurm or on this host: by id, the beginning of an id, folder or Slurm job id."""
    if bool(runs) == everything:
        raise click.UsageError("name the runs, or give --all")
    meant = [run for run in unfinished(root) if run.record.job.on == "slurm"] if everything else runs_of(root, runs)
    found, _ = reconciled_runs(meant)
    if problems := [problem for run in found if (problem := _problem(run))]:
        raise ConfigError(problems)
    open_ones = [run for run in found if run.record.status in UNFINISHED]
    ended_ones = [run for run in found if run not in open_ones]
    if not open_ones and not ended_ones:
        click.echo(f"no Slurm run in {root} is under way")
    for run in ended_ones:
        screen.notice(f"{run.record.run_id}: has already ended, {run.record.status}")
    all_cancelled = _cancel(open_ones)
    return 0 if all_cancelled and (everything or not ended_ones) else 1


def _problem(run: StoredRun) -> str | None:
    """Say why a run cannot be cancelled at all; None if it can."""
    record = run.record
    if record.status not in UNFINISHED:
        return None
    if not can_be_ended_here(run):
        return f"{record.run_id}: runs on {record.job.host} without Slurm; end it by Ctrl-C where it was started"
    if is_without_job(record):
        return f"{record.run_id}: Slurm's answer to its submission is not known yet; try again in a minute"
    return None


def _cancel(runs: Sequence[StoredRun]) -> bool:
    """Cancel runs and wait for their ends, but not where it is refused; return whether all have ended as cancelled."""
    taken: list[StoredRun] = []
    for run in runs:
        if complaint := request_end(run):
            screen.error(f"{run.record.run_id}: {complaint}")
        else:
            taken.append(run)
    ended = _wait(taken)
    for run in ended:
        click.echo(_end_text(run))
    return taken == list(runs) and all(run.record.status == "cancelled" for run in ended)


def _wait(runs: Sequence[StoredRun]) -> tuple[StoredRun, ...]:
    """Wait until the runs have ended, or for a while; return them as they stand."""
    from harness.runs.reconcile.reconcile import reconcile_all

    deadline = time.monotonic() + _PATIENCE_S
    while True:
        reconciled = reconcile_all(runs)
        any_open = any(run.record.status in UNFINISHED for run in reconciled.runs)
        if not any_open or reconciled.unreachable or time.monotonic() > deadline:
            return reconciled.runs
        runs = reconciled.runs
        time.sleep(_POLL_S)


def _end_text(run: StoredRun) -> str:
    record = run.record
    if record.status in UNFINISHED:
        watch = f"moe-harness runs watch {named(run.folder)}"
        return f"{record.run_id}: still {record.status}; {watch} tells when it has ended"
    if record.status == "cancelled":
        return f"{record.run_id}: cancelled{f' (job {record.job.job_id})' if record.job.job_id else ''}"
    return f"{record.run_id}: {record.status}, before it could be cancelled"

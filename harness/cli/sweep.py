"""`moe-harness sweep`: many jobs from one line, each run once however often it is interrupted."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from harness.cli import request, screen
from harness.cli.every import EVERY
from harness.cli.main import NOT_BEGUN
from harness.cli.sweep_plan import Driver, Sweep, sweep_of
from harness.cli.sweep_points import check_points, executor_of, points_of
from harness.errors import ConfigError
from harness.launch.executor import Executor
from harness.report.text.sweep_table import (
    PlannedJob,
    planned_data,
    results_data,
    show_cost,
    show_planned,
    show_refused,
    show_results,
)
from harness.runs.campaign.lock import hold
from harness.runs.campaign.manifest import keep_plan, require_same
from harness.runs.store import StoredRun

type Say = Callable[[str], None]


@click.command("sweep")
@click.argument("words", nargs=-1, type=request.Word(), metavar=request.WORDS)
@click.option("--on", "place", type=click.Choice(request.EXECUTORS), help=request.WHERE)
@click.option("--grid/--zip", default=True, help="Every combination of the values (the default), or pair by pair.")
@click.option("--max-jobs", type=click.IntRange(min=1), metavar="N", help="At most N jobs of the sweep run at once.")
@click.option("--name", help="The sweep's name; without one it is made of what is swept.")
@click.option("--yes", is_flag=True, help="Submit without asking.")
@click.option("--retry-failed", is_flag=True, help="Run again what failed or was cancelled.")
@click.option("--dry-run", is_flag=True, help="Show the points and stop.")
@request.slurm_options
@EVERY
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@request.FORCE
@click.pass_context
def command(
    ctx: click.Context,
    words: Sequence[str],
    place: Executor | None,
    grid: bool,
    max_jobs: int | None,
    name: str | None,
    yes: bool,
    retry_failed: bool,
    dry_run: bool,
    slurm_options: Sequence[str],
    every_s: float,
    as_json: bool,
    force: bool,
) -> int:
    """Launch every point of EP=2,4,8 MBS=1,2 and follow them; Megatron's own flags after --.

    The same command goes on where it was interrupted: what is done, or under way, is not run again.
    """
    points = points_of(ctx, words, zipped=not grid)
    where = executor_of(points, place)
    if max_jobs and where != "slurm":
        raise ConfigError(f"--max-jobs is Slurm's, and --on {where} runs one job after another; leave it out")
    checked = check_points(ctx, points, where, slurm_options=slurm_options, force=force)
    request.say_notices(checked.notices)
    say: Say = screen.progress if as_json else click.echo
    sweep = sweep_of(checked, where, name)
    if max_jobs:
        sweep.require_lanes()
    if checked.refused:
        say(f"{show_refused(checked.refused)}\n")
    if dry_run or sweep.asked_dry:
        require_same(sweep.folder, sweep.plan)
        kept = sweep.stored()
        rows = sweep.rows(kept, sweep.pending(kept, retry_failed=retry_failed))
        _show_plan(say, sweep, rows)
        if as_json:
            _print(sweep, planned_data(rows))
        return 0
    with hold(sweep.folder):
        require_same(sweep.folder, sweep.plan)
        driver = _driver(sweep, max_jobs=max_jobs, every_s=every_s)
        taken = driver.take_over()
        pending = sweep.pending(taken.runs, retry_failed=retry_failed)
        _show_plan(say, sweep, sweep.rows(taken.runs, pending))
        if pending and where == "slurm" and not yes:
            _ask()
        keep_plan(sweep.folder, sweep.plan)
        stored = driver.drive(taken, pending)
    return _finish(sweep, stored, as_json=as_json)


def _driver(sweep: Sweep, *, max_jobs: int | None, every_s: float) -> Driver:
    """What drives the sweep where it runs."""
    if sweep.place == "slurm":
        from harness.cli.sweep_slurm import SlurmDriver

        return SlurmDriver(sweep, max_jobs=max_jobs, every_s=every_s)
    from harness.cli.sweep_here import DriverHere

    return DriverHere(sweep)


def _show_plan(say: Say, sweep: Sweep, rows: Sequence[PlannedJob]) -> None:
    """Say what is to run and may cost."""
    say(show_planned(sweep.checked.swept, rows))
    say(f"sweep {sweep.name}: {show_cost([row for row in rows if row.to_run])}")


def _ask() -> None:
    if not os.isatty(0):
        raise ConfigError(
            "to submit them wants a yes, and there is no terminal to ask on; give --yes, or --dry-run to look only"
        )
    if not click.confirm("submit?", err=True):
        raise click.exceptions.Exit(NOT_BEGUN)


def _finish(sweep: Sweep, stored: Mapping[str, StoredRun], *, as_json: bool) -> int:
    results = sweep.results(stored)
    if as_json:
        _print(sweep, results_data(results))
    else:
        click.echo(show_results(sweep.checked.swept, results))
    return 0 if all(it.record and it.record.status == "completed" for it in results) else 1


def _print(sweep: Sweep, points: Sequence[Mapping[str, Any]]) -> None:
    refused = [{"point": point, "why": list(why)} for point, why in sweep.checked.refused.items()]
    click.echo(json.dumps({"sweep": sweep.name, "points": points, "refused": refused}, indent=2))

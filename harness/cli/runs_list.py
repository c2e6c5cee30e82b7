"""`moe-harness runs list`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from harness.cli import screen
from harness.cli.run_lookup import ROOT, reconciled_runs, with_its_log
from harness.report.text.run_data import run_data
from harness.report.text.run_table import show_runs
from harness.runs.record import Status
from harness.runs.selection import Selection, parse_since
from harness.runs.store import StoredRun, list_runs

if TYPE_CHECKING:
    from harness.runs.reconcile.reconcile import Reconciled

STATUSES = get_args(Status.__value__)


class _Since(click.ParamType[str]):
    """`2d`, `12h`, `30m`, or a date, which becomes a record's time."""

    name = "TIME"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return parse_since(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


_LOG_BYTES = 32 * 1024**2
"""How much of an unfinished run's log is read for its line in the list, which takes a second."""


@click.command("list")
@ROOT
@click.option("--status", "statuses", type=click.Choice(STATUSES), multiple=True, help="Only these; may be repeated.")
@click.option("--model", help="Only runs of this model.")
@click.option("--since", type=_Since(), help="Only runs begun since: 2d, 12h, 30m, or a date (UTC).")
@click.option("--sweep", help="Only runs of this sweep.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the N newest of these.")
@click.option("--json", "as_json", is_flag=True, help="Print a list as JSON.")
def command(
    root: Path,
    statuses: Sequence[Status],
    model: str | None,
    since: str | None,
    sweep: str | None,
    last: int | None,
    as_json: bool,
) -> int:
    """All runs, the newest first."""
    found = list_runs(root)
    for warning in found.warnings:
        screen.notice(warning)
    selection = Selection(statuses=tuple(statuses), model=model, since=since, sweep=sweep, last=last)
    runs, reconciled = reconciled_runs(selection.before_asking(found.runs))
    runs = selection.of(runs)
    shown = [with_its_log(run, most_bytes=_LOG_BYTES)[0] for run in runs]
    if as_json:
        click.echo(json.dumps([run_data(run) for run in shown], indent=2))
    elif shown:
        click.echo(show_runs([run.record for run in shown], _pending_reasons(runs, reconciled)))
    else:
        click.echo(f"no runs in {root}" if not found.runs else f"none of the {len(found.runs)} runs in {root} is so")
    return 1 if any(run.problem for run in runs) else 0


def _pending_reasons(runs: Sequence[StoredRun], reconciled: "Reconciled | None") -> dict[str, str]:
    """Slurm's pending reasons of submitted runs, by the runs' ids."""
    jobs = {run.record.run_id: reconciled.job_of(run) for run in runs} if reconciled else {}
    return {run_id: job.reason for run_id, job in jobs.items() if job and job.pending and job.reason}

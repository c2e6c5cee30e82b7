"""`moe-harness sweep`: many jobs from one line, each run once however often it is interrupted."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from harness.cli import request, screen
from harness.cli.main import NOT_BEGUN, STOPPED
from harness.cli.runs_found import EVERY
from harness.cli.verdict import foresee, notices, problems
from harness.config.points import PointSettings, points_of
from harness.config.provenance import Resolved
from harness.config.words import typed_words
from harness.errors import ConfigError
from harness.launch.executor import Executor
from harness.launch.plan import plan_launch
from harness.plan.forecast import figures
from harness.report.text.sweep_table import (
    PlannedJob,
    PointResult,
    planned_data,
    planned_job,
    results_data,
    show_cost,
    show_planned,
    show_refused,
    show_results,
)
from harness.runs.campaign.assess import AssessedItems, assess_items
from harness.runs.campaign.campaign import Campaign, campaign_of
from harness.runs.campaign.item import Item, ItemAssessment
from harness.runs.store import StoredRun


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
    points = points_of(typed_words(words), zipped=not grid, resolve=lambda some: request.resolved(ctx, some, "slurm"))
    executor = place or _usual_executor(points)
    if max_jobs and executor != "slurm":
        raise ConfigError(f"--max-jobs is Slurm's, and --on {executor} runs one job after another; leave it out")
    assessed = _assess_points(ctx, points, executor, slurm_options=slurm_options, force=force)
    request.say_notices(assessed.notices)
    campaign = campaign_of(assessed, executor, name=name, options=slurm_options)
    if max_jobs:
        campaign.require_lanes()
    view = _SweepView(campaign=campaign, refused=assessed.refused, swept=points[0].swept, as_json=as_json)
    view.show_refused()
    if dry_run or any(item.resolved.switch("DRY_RUN") for item in campaign.items):
        view.show_dry_run(retry_failed=retry_failed)
        return 0
    from harness.cli.campaign_reporter import ScreenReporter  # a dry run starts faster without what running takes
    from harness.runs.campaign.run import run_campaign

    def confirm(stored: Mapping[str, StoredRun], pending: Sequence[Item]) -> bool:
        view.show_planned(stored, pending)
        return yes or executor != "slurm" or not pending or _confirmed()

    reporter = ScreenReporter()
    outcome = run_campaign(
        campaign, reporter, confirm=confirm, retry_failed=retry_failed, max_jobs=max_jobs, every_s=every_s
    )
    if outcome is None:
        return NOT_BEGUN
    return STOPPED if outcome.detached else view.show_results(outcome.runs)


def _usual_executor(points: Sequence[PointSettings]) -> Executor:
    """Where all points run: as `launch` would choose, on Slurm if any of them needs it."""
    usual = {request.usual_executor(point.words) for point in points}
    return "slurm" if "slurm" in usual else "local"


def _assess_points(
    ctx: click.Context,
    points: Sequence[PointSettings],
    executor: Executor,
    *,
    slurm_options: Sequence[str],
    force: bool,
) -> AssessedItems:
    """Resolve and check every point as `launch` does it; touches nothing."""
    words = {point.name: point.words for point in points}

    def assess(name: str) -> ItemAssessment:
        try:
            resolved = request.resolved(ctx, words[name], executor)
        except ConfigError as error:
            return ItemAssessment(problems=error.problems)
        return _assess(resolved, executor, slurm_options=slurm_options, force=force)

    return assess_items({point.name: point.values for point in points}, assess)


def _assess(resolved: Resolved, executor: Executor, *, slurm_options: Sequence[str], force: bool) -> ItemAssessment:
    foreseen = foresee(resolved, force=force)
    worth_reading = (*resolved.notices, *notices(resolved, executor), *foreseen.notices)
    launch, found = None, (*problems(resolved, executor), *foreseen.problems)
    if not found:
        try:
            launch = plan_launch(resolved, executor, slurm_options=slurm_options)
        except ConfigError as error:
            found = error.problems
    return ItemAssessment(
        resolved=resolved,
        launch=launch,
        predicted=figures(foreseen.candidate) if foreseen.candidate else None,
        notices=worth_reading,
        problems=found,
    )


def _confirmed() -> bool:
    if not os.isatty(0):
        raise ConfigError(
            "to submit them wants a yes, and there is no terminal to ask on; give --yes, or --dry-run to look only"
        )
    return click.confirm("submit?", err=True)


@dataclass(frozen=True, kw_only=True)
class _SweepView:
    """Prints a sweep: tables on stdout, or JSON there and the tables on stderr."""

    campaign: Campaign
    refused: Mapping[str, Sequence[str]]
    swept: Sequence[str]
    as_json: bool

    def show_refused(self) -> None:
        if self.refused:
            self._print(f"{show_refused(self.refused)}\n")

    def show_planned(self, stored: Mapping[str, StoredRun], pending: Sequence[Item]) -> Sequence[PlannedJob]:
        """What is to run and may cost; returns the rows of the table."""
        names = {item.name for item in pending}
        rows = [planned_job(it, stored.get(it.name), to_run=it.name in names) for it in self.campaign.items]
        self._print(show_planned(self.swept, rows))
        self._print(f"sweep {self.campaign.name}: {show_cost([row for row in rows if row.to_run])}")
        return rows

    def show_dry_run(self, *, retry_failed: bool) -> None:
        self.campaign.require_same()
        stored = self.campaign.stored()
        rows = self.show_planned(stored, self.campaign.pending(stored, retry_failed=retry_failed))
        if self.as_json:
            self._print_json(planned_data(rows))

    def show_results(self, stored: Mapping[str, StoredRun]) -> int:
        """What came of it; the exit code."""
        results = [PointResult(point=it.name, values=it.values, run=stored.get(it.name)) for it in self.campaign.items]
        if self.as_json:
            self._print_json(results_data(results))
        else:
            click.echo(show_results(self.swept, results))
        return 0 if all(it.record and it.record.status == "completed" for it in results) else 1

    def _print(self, text: str) -> None:
        (screen.progress if self.as_json else click.echo)(text)

    def _print_json(self, points: Sequence[Mapping[str, Any]]) -> None:
        refused = [{"point": name, "why": list(reasons)} for name, reasons in self.refused.items()]
        click.echo(json.dumps({"sweep": self.campaign.name, "points": points, "refused": refused}, indent=2))

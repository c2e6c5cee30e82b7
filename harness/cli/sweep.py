"""`moe-harness sweep`: many jobs from one line, each run once however often it is interrupted."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from harness.cli import request
from harness.cli.main import NOT_BEGUN, STOPPED
from harness.cli.report_file import OVERWRITE, refuse_existing, write_report
from harness.cli.run_lookup import EVERY
from harness.cli.sweep_view import SweepView
from harness.config.arguments import parse_arguments
from harness.config.points import PointSettings, points_of
from harness.errors import ConfigError
from harness.launch.executor import Executor
from harness.plan.forecast import figures
from harness.report.html.requirement import require_pages
from harness.runs.campaign.assess import AssessedItems, assess_items
from harness.runs.campaign.campaign import campaign_of
from harness.runs.campaign.item import Item, ItemAssessment
from harness.runs.campaign.repeats import REPEAT, with_repeats
from harness.runs.render_job import render_job
from harness.runs.store import StoredRun
from harness.training.assessment import Assessment, assess
from harness.training.open_training import open_training


@click.command("sweep")
@click.argument("arguments", nargs=-1, type=request.SettingArgument(), metavar=request.ARGUMENTS_METAVAR)
@click.option("--on", "executor", type=click.Choice(request.EXECUTORS), help=request.ON_HELP)
@click.option("--grid/--zip", default=True, help="Every combination of the values (the default), or pair by pair.")
@click.option("--max-jobs", type=click.IntRange(min=1), metavar="N", help="At most N jobs of the sweep run at once.")
@click.option("--name", help="The sweep's name; without one it is made of what is swept.")
@click.option("--yes", is_flag=True, help="Submit without asking.")
@click.option("--retry-failed", is_flag=True, help="Run again what failed or was cancelled.")
@click.option("--dry-run", is_flag=True, help="Show the points and stop.")
@click.option(
    "--report",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Then write a page of all.",
)
@OVERWRITE
@request.slurm_options
@EVERY
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@request.FORCE
@click.pass_context
def command(
    ctx: click.Context,
    arguments: Sequence[str],
    executor: Executor | None,
    grid: bool,
    max_jobs: int | None,
    name: str | None,
    yes: bool,
    retry_failed: bool,
    dry_run: bool,
    page: Path | None,
    overwrite: bool,
    slurm_options: Sequence[str],
    every_s: float,
    as_json: bool,
    force: bool,
) -> int:
    """Launch every point of EP=2,4,8 MBS=1,2 and follow them; Megatron's own flags after --.

    The same command goes on where it was interrupted: what is done, or under way, is not run again. REPEATS=n
    runs each point n times, and gives their means with intervals of confidence.
    """
    if page is not None:
        require_pages("--report")
        refuse_existing(page, overwrite=overwrite)
    typed = parse_arguments(arguments)
    points = points_of(typed, zipped=not grid, resolve=lambda some: request.resolved(ctx, some, "slurm"))
    executor = executor or _usual_executor(points)
    if max_jobs and executor != "slurm":
        raise ConfigError(f"--max-jobs is Slurm's, and --on {executor} runs one job after another; leave it out")
    assessed = with_repeats(_assess_points(ctx, points, executor, slurm_options=slurm_options, force=force))
    request.show_notices(assessed.notices)
    campaign = campaign_of(assessed, executor, open_run=open_training, name=name, options=slurm_options)
    if max_jobs:
        campaign.require_lanes()
    swept = (*points[0].swept, *((REPEAT,) if any(item.repeat for item in campaign.items) else ()))
    view = SweepView(campaign=campaign, refused=assessed.refused, swept=swept, as_json=as_json)
    view.show_refused()
    if dry_run or any(item.resolved.switch("DRY_RUN") for item in campaign.items):
        view.show_dry_run(retry_failed=retry_failed)
        return 0
    from harness.cli.campaign_reporter import ScreenReporter  # a dry run starts faster without what running takes
    from harness.runs.campaign.run import run_campaign

    def confirm(stored: Mapping[str, StoredRun], pending: Sequence[Item]) -> bool:
        view.show_preview(stored, pending)
        return yes or executor != "slurm" or not pending or _confirmed()

    reporter = ScreenReporter()
    outcome = run_campaign(
        campaign, reporter, confirm=confirm, retry_failed=retry_failed, max_jobs=max_jobs, every_s=every_s
    )
    if outcome is None:
        return NOT_BEGUN
    if outcome.detached:
        return STOPPED
    code = view.show_results(outcome.runs)
    if page is not None:
        _write_page(page, [run for item in campaign.items if (run := outcome.runs.get(item.name))], overwrite=overwrite)
    return code


def _write_page(page: Path, runs: Sequence[StoredRun], *, overwrite: bool) -> None:
    """The page of the points that have a run."""
    from harness.report.html.report_page import report_page
    from harness.report.reported_run import read_reported_run
    from harness.runs.record import utc_now

    if runs:
        reported = [read_reported_run(run) for run in runs]
        write_report(report_page(reported, made=utc_now()), page, overwrite=overwrite)


def _usual_executor(points: Sequence[PointSettings]) -> Executor:
    """Choose the executor of all points as `launch` would: Slurm if any of them needs it."""
    usual = {request.usual_executor(point.arguments) for point in points}
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
    arguments = {point.name: point.arguments for point in points}

    def assess_point(name: str) -> ItemAssessment:
        try:
            resolved = request.resolved(ctx, arguments[name], executor)
        except ConfigError as error:
            return ItemAssessment(problems=error.problems)
        return _of_item(assess(resolved, executor, force=force, slurm_options=slurm_options))

    return assess_items({point.name: point.values for point in points}, assess_point)


def _of_item(found: Assessment) -> ItemAssessment:
    rendered, problems = None, found.problems
    try:
        rendered = render_job(found.resolved, found.require_job())
    except ConfigError as error:
        problems = error.problems
    return ItemAssessment(
        resolved=found.resolved,
        rendered=rendered,
        predicted=figures(found.candidate) if found.candidate else None,
        notices=found.notices,
        problems=problems,
    )


def _confirmed() -> bool:
    if not os.isatty(0):
        raise ConfigError(
            "to submit them wants a yes, and there is no terminal to ask on; give --yes, or --dry-run to look only"
        )
    return click.confirm("submit?", err=True)

"""`moe-harness launch`: run a job here, or submit it."""

from collections.abc import Sequence

import click

from harness.cli import request
from harness.launch.executor import Executor
from harness.plan.forecast import figures
from harness.report.text.job_cost import show_job_cost
from harness.runs.render_job import render_job
from harness.training.assessment import assess


@click.command("launch")
@request.config_arguments
@request.FORCE
@click.option("--dry-run", is_flag=True, help="Print the script, byte for byte what would run, and stop.")
@click.option("--keep", is_flag=True, help="Leave a job in Slurm's queue even if it can never start.")
@request.slurm_options
@click.pass_context
def command(
    ctx: click.Context,
    arguments: Sequence[str],
    executor: Executor,
    dry_run: bool,
    force: bool,
    keep: bool,
    slurm_options: Sequence[str],
) -> int:
    """Train with the settings KEY=VALUE; Megatron's own flags after --.

    Every run gets a folder of its own in OUTPUT_PATH, with its script, configuration, log and record.
    REPEATS=n runs the same n times, and gives the means with intervals of confidence.
    """
    resolved = request.resolved(ctx, arguments, executor)
    found = assess(resolved, executor, force=force, slurm_options=slurm_options)
    cost = show_job_cost(found)
    request.show_notices([*found.notices, *([cost] if cost else [])])
    rendered = render_job(resolved, found.require_job())
    if dry_run or resolved.switch("DRY_RUN"):
        click.echo(rendered.script.encode(errors="surrogateescape"), nl=False)
        return 0
    predicted = figures(found.candidate) if found.candidate else None
    if resolved.integer("REPEATS") > 1:
        from harness.cli.repeated_launch import launch_repeats

        return launch_repeats(rendered, resolved, predicted, keep=keep, slurm_options=slurm_options)
    from harness.cli.run import run_launch  # a dry run starts faster without what running takes

    return run_launch(rendered, resolved, predicted, keep=keep)

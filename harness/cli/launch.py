"""`moe-harness launch`: run a job here, or submit it."""

from collections.abc import Sequence

import click

from harness.cli import request
from harness.cli.verdict import cost, foresee, notices, problems
from harness.errors import ConfigError
from harness.launch.executor import Executor
from harness.launch.plan import plan_launch
from harness.plan.forecast import figures


@click.command("launch")
@request.config_arguments
@request.FORCE
@click.option("--dry-run", is_flag=True, help="Print the script, byte for byte what would run, and stop.")
@click.option("--keep", is_flag=True, help="Leave a job in Slurm's queue even if it can never start.")
@request.slurm_options
@click.pass_context
def command(
    ctx: click.Context,
    words: Sequence[str],
    place: Executor,
    dry_run: bool,
    force: bool,
    keep: bool,
    slurm_options: Sequence[str],
) -> int:
    """Train with the settings KEY=VALUE; Megatron's own flags after --.

    Every run gets a folder of its own in OUTPUT_PATH, with its script, configuration, log and record.
    """
    resolved = request.resolved(ctx, words, place)
    foreseen = foresee(resolved, force=force)
    said = cost(resolved, place, foreseen.candidate)
    request.say_notices([*resolved.notices, *notices(resolved, place), *foreseen.notices, *([said] if said else [])])
    if found := [*problems(resolved, place), *foreseen.problems]:
        raise ConfigError(found)
    launch = plan_launch(resolved, place, slurm_options=slurm_options)
    if dry_run or resolved.switch("DRY_RUN"):
        click.echo(launch.script.encode(errors="surrogateescape"), nl=False)
        return 0
    from harness.cli.run import run_launch  # a dry run starts faster without what running takes

    predicted = figures(foreseen.candidate) if foreseen.candidate else None
    return run_launch(launch, resolved, predicted, keep=keep)

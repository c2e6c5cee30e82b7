"""`moe-harness check`: everything that keeps a job from running, at once."""

from collections.abc import Sequence

import click

from harness.cli import request
from harness.launch.executor import Executor
from harness.report.text.job_cost import show_job_cost
from harness.training.assessment import assess


@click.command("check")
@request.config_arguments
@request.FORCE
@click.pass_context
def command(ctx: click.Context, arguments: Sequence[str], executor: Executor, force: bool) -> None:
    """Check a configuration against Megatron's own rules and this machine; exit code 2 if it cannot run."""
    resolved = request.resolved(ctx, arguments, executor)
    found = assess(resolved, executor, force=force)
    request.show_notices(found.notices)
    found.require_job()
    nodes, ranks = resolved.integer("NNODES", 1), resolved.integer("GPUS_PER_NODE", 1)
    click.echo(f"{resolved.text('MODEL')} can run on {nodes * ranks} ranks ({nodes} x {ranks})")
    if cost := show_job_cost(found):
        click.echo(cost)

"""`moe-harness check`: everything that keeps a job from running, at once."""

from collections.abc import Sequence

import click

from harness.cli import request
from harness.cli.verdict import cost, foresee, notices, problems
from harness.errors import ConfigError
from harness.launch.executor import Executor


@click.command("check")
@request.config_arguments
@request.FORCE
@click.pass_context
def command(ctx: click.Context, words: Sequence[str], place: Executor, force: bool) -> None:
    """Check a configuration against Megatron's own rules and this machine; exit code 2 if it cannot run."""
    resolved = request.resolved(ctx, words, place)
    foreseen = foresee(resolved, force=force)
    request.say_notices([*resolved.notices, *notices(resolved, place), *foreseen.notices])
    if found := [*problems(resolved, place), *foreseen.problems]:
        raise ConfigError(found)
    nodes, ranks = resolved.integer("NNODES", 1), resolved.integer("GPUS_PER_NODE", 1)
    click.echo(f"{resolved.text('MODEL')} can run on {nodes * ranks} ranks ({nodes} x {ranks})")
    if said := cost(resolved, place, foreseen.candidate):
        click.echo(said)

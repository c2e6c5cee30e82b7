"""`moe-harness check`: everything that keeps a job from running, at once."""

from collections.abc import Sequence

import click

from harness.cli import request
from harness.config.provenance import Resolved
from harness.config.releases import load
from harness.errors import ConfigError
from harness.launch.job import job_spec
from harness.launch.loaded_checkpoint import checkpoint_notices, checkpoint_problems
from harness.launch.place import Place
from harness.launch.preflight import path_problems
from harness.plan.constraints import check
from harness.plan.engine_rules import engine_release
from harness.plan.violation import Violation


@click.command("check")
@request.config_arguments
@click.pass_context
def command(ctx: click.Context, words: Sequence[str], place: Place) -> None:
    """Check a configuration against Megatron's own rules and this machine; exit code 2 if it cannot run."""
    resolved = request.resolved(ctx, words, place)
    request.say_notices([*resolved.notices, *notices(resolved, place)])
    if found := problems(resolved, place):
        raise ConfigError(found)
    nodes, ranks = resolved.integer("NNODES", 1), resolved.integer("GPUS_PER_NODE", 1)
    click.echo(f"{resolved.text('MODEL')} can run on {nodes * ranks} ranks ({nodes} x {ranks})")


def problems(resolved: Resolved, place: Place) -> list[str]:
    """What Megatron or this machine would refuse, all of it. Only Slurm's nodes know the paths of a Slurm job."""
    found = violations(resolved)
    try:
        spec = job_spec(resolved, place)
    except ConfigError as error:
        return [*found, *error.problems]
    found += checkpoint_problems(resolved, spec)
    return [*found, *(path_problems(resolved, spec) if place != "slurm" else ())]


def notices(resolved: Resolved, place: Place) -> list[str]:
    """What is worth knowing of the checkpoint that the job starts from."""
    try:
        return checkpoint_notices(resolved, job_spec(resolved, place))
    except ConfigError:
        return []  # there is no such job; `problems` says why


def violations(resolved: Resolved) -> list[str]:
    """What Megatron would refuse, each with the place where it was written."""
    ranks = resolved.integer("GPUS_PER_NODE", 1)
    release = load(resolved.text("MCORE_RELEASE_VERSION")).release
    world_size = resolved.integer("NNODES", 1) * ranks
    te = tuple(int(part) for part in resolved.text("TE_VERSION").split(".") if part.isdigit())
    found = check(resolved.megatron_args, world_size, gpus_per_node=ranks, release=release, te=te or None)
    if resolved.embedded:
        found += engine_release(tuple(map(int, release.split("."))))
    return [*(_located(violation, resolved) for violation in found), *resolved.blockers]


def _located(violation: Violation, resolved: Resolved) -> str:
    """`runtime.conf:12: EP=48 does not divide …; fix: …`: where the first of its names was written.

    A setting reaches Megatron through a flag, so a flag that the user wrote after `--` comes before its setting.
    """
    origins = [origin for name in violation.names if (origin := resolved.origin(name)) is not None]
    typed = [origin for origin in origins if origin.layer == "extra flags"]
    return f"{(typed or origins)[0]}: {violation}" if origins else str(violation)

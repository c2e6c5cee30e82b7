"""The arguments that all verbs which resolve a configuration share, and their resolution."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click
from click.shell_completion import CompletionItem

from harness.cli import screen
from harness.cli.main import Invocation
from harness.config.arguments import parse_arguments
from harness.config.conf_files import ConfFiles
from harness.config.configuration import Configuration
from harness.config.provenance import Resolved
from harness.config.request import Request
from harness.config.roots import NAMED_BY, Roots
from harness.config.schema import SETTINGS
from harness.config.sources import read_configuration
from harness.launch.executor import Executor

EXECUTORS = ("local", "interactive", "slurm")
ON_HELP = "Where the job is to run; slurm if CLUSTER names a cluster or NNODES is above 1, else local."
ARGUMENTS_METAVAR = "[KEY=VALUE]… [-- FLAG…]"

PLAN_DEFAULTS = {"PROXY": "none", "DATASET": "mock", "PRETRAIN": "1"}
"""Defaults of verbs that launch nothing: the full model, whatever data it will read."""
LAUNCH_NOTICES = ("WandB: ", "is not filled in: ")
"""What notices about launching contain."""


FORCE = click.option("--force", is_flag=True, help="Go on although the predicted memory exceeds the GPU's.")


def slurm_options[F: Callable[..., Any]](function: F) -> F:
    """Add the options of sbatch that have names of their own here, as the one parameter `slurm_options`."""

    @functools.wraps(function)
    def command(*args: Any, segment: int | None, reservation: str | None, dependency: str | None, **others: Any) -> Any:
        asked = {"--segment": segment, "--reservation": reservation, "--dependency": dependency}
        if empty := [name for name, value in asked.items() if value == ""]:
            raise click.UsageError(f"{' and '.join(empty)} would be empty; give a value, or leave it out")
        given = tuple(f"{name}={value}" for name, value in asked.items() if value is not None)
        return function(*args, slurm_options=given, **others)

    for option in (
        click.option("--dependency", metavar="…", help="Slurm: start after other jobs, e.g. afterok:4711."),
        click.option("--reservation", metavar="NAME", help="Slurm: run in this reservation."),
        click.option("--segment", type=click.IntRange(min=1), help="Slurm: place the nodes in blocks of so many."),
    ):
        command = option(command)
    return cast(F, command)


class SettingArgument(click.ParamType[str]):
    """`KEY=VALUE`, completed by the names of settings, models, clusters and choices."""

    name = "KEY=VALUE"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        name, equals, value = incomplete.partition("=")
        if not equals:
            return [CompletionItem(f"{key}=", help=s.help) for key, s in SETTINGS.items() if key.startswith(name)]
        if name in NAMED_BY:
            options: Sequence[str] = Roots.standard().names(NAMED_BY[name])
        else:
            options = SETTINGS[name].choices if name in SETTINGS else ()
        return [CompletionItem(f"{name}={option}") for option in options if option.startswith(value)]


def config_arguments[F: Callable[..., Any]](function: F) -> F:
    """Add `--on EXECUTOR` and `[KEY=VALUE]…`, the same for every verb that resolves."""
    function = click.argument("arguments", nargs=-1, type=SettingArgument(), is_eager=True, metavar=ARGUMENTS_METAVAR)(
        function
    )
    return click.option("--on", "executor", type=click.Choice(EXECUTORS), callback=_executor, help=ON_HELP)(function)


def _executor(ctx: click.Context, param: click.Parameter, value: Executor | None) -> Executor:
    return value or usual_executor(ctx.params.get("arguments") or ())


def usual_executor(arguments: Sequence[str]) -> Executor:
    """Choose the executor: Slurm where the user names a cluster, or asks for several nodes and names none."""
    settings = {**os.environ, **dict(it.split("=", 1) for it in arguments if "=" in it)}
    cluster, nodes = settings.get("CLUSTER", ""), settings.get("NNODES", "")
    if cluster:
        return "local" if cluster == "laptop" else "slurm"
    return "slurm" if nodes.isdecimal() and int(nodes) > 1 else "local"


def configuration(ctx: click.Context, arguments: Sequence[str], executor: Executor) -> Configuration:
    """Read the configuration for what the user typed, in this environment, for an executor."""
    return read_configuration(request_of(ctx, arguments, executor), ConfFiles(Roots.standard()))


def request_of(ctx: click.Context, arguments: Sequence[str], executor: Executor) -> Request:
    """What the user typed, in this environment, for an executor."""
    invocation: Invocation = ctx.obj
    return Request(
        arguments=arguments,
        extra=invocation.extra,
        environ=dict(os.environ),
        default_cluster="template" if executor == "slurm" else "laptop",
        executor=executor,
        gpus=len(list(Path("/dev").glob("nvidia[0-9]*"))),
    )


def resolved(ctx: click.Context, arguments: Sequence[str], executor: Executor) -> Resolved:
    """Resolve what the user typed, in this environment, for an executor."""
    return configuration(ctx, arguments, executor).resolved()


def planned(ctx: click.Context, arguments: Sequence[str]) -> Resolved:
    """Resolve for a verb that predicts: a job on a cluster, the template if none is named."""
    return planned_configuration(ctx, parse_arguments(arguments)).resolved()


def planned_configuration(ctx: click.Context, typed: Mapping[str, str]) -> Configuration:
    """Read the configuration of a verb that predicts: what was typed over PLAN_DEFAULTS."""
    return configuration(ctx, [f"{name}={value}" for name, value in {**PLAN_DEFAULTS, **typed}.items()], "slurm")


def show_planned_notices(resolved: Resolved) -> None:
    """Show the notices of a resolved configuration, without those about launching."""
    show_notices([text for text in resolved.notices if not any(of in text for of in LAUNCH_NOTICES)])


def show_notices(notices: Sequence[str]) -> None:
    """Show notices on stderr, so that a program can read stdout."""
    for text in notices:
        screen.notice(text)

"""`moe-harness explain NAME`: the winner, the losers, and where each was written."""

from collections.abc import Sequence

import click

from harness.cli import request
from harness.config.provenance import History, Resolved
from harness.config.releases import load
from harness.config.schema import SETTINGS
from harness.errors import ConfigError, nearest
from harness.launch.executor import Executor


@click.command("explain", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@request.config_arguments
@click.pass_context
def command(ctx: click.Context, name: str, arguments: Sequence[str], executor: Executor) -> None:
    """Where NAME (a setting such as EP, a Megatron flag, or an environment variable) got its value."""
    resolved = request.resolved(ctx, arguments, executor)
    history = resolved.origins.get(name)
    if history is None:
        click.echo(_not_written(name, resolved))
    else:
        click.echo(explanation(name, history, resolved))


def explanation(name: str, history: History, resolved: Resolved) -> str:
    """The winner first, then every loser, each with its file and line or its layer."""
    winner, losers = history[-1], history[-2::-1]
    rows = [(f"{name} = {_shown(winner.value)}", str(winner.origin))]
    rows += [(f"  over {_shown(loser.value)}", str(loser.origin)) for loser in losers]
    width = max(len(text) for text, _ in rows)
    lines = [f"{text:<{width}}  {origin}" for text, origin in rows]
    if name in SETTINGS:
        lines.append(SETTINGS[name].help)
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _not_written(name: str, resolved: Resolved) -> str:
    if name in SETTINGS:
        return f"{name} is not set\n{SETTINGS[name].help}"
    option = load(resolved.text("MCORE_RELEASE_VERSION")).option(name)
    if option is not None:
        default = f"; Megatron's default: {option.default}" if option.default is not None else ""
        return f"{name} is not set{default}"
    known = {*SETTINGS, *resolved.origins, *load(resolved.text("MCORE_RELEASE_VERSION")).options}
    raise ConfigError(f"unknown name {name}; {nearest(name, known)}")

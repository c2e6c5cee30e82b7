"""`moe-harness resolve`: the settings, flags and environment that a job gets."""

import json
from collections.abc import Sequence
from typing import Any

import click

from harness.cli import request
from harness.config.provenance import History, Resolved
from harness.launch.executor import Executor
from harness.plan.verdict import located_violations
from harness.training.assessment import foresee


@click.command("resolve")
@request.config_arguments
@click.option("--json", "as_json", is_flag=True, help="One object: settings, argv, env, origins, notices, refused.")
@click.pass_context
def command(ctx: click.Context, arguments: Sequence[str], executor: Executor, as_json: bool) -> None:
    """Print what MODEL=… and all other settings come to; Megatron flags after --.

    What Megatron would refuse is a notice here, and so is memory that may not suffice, where the GPU is known; `check`
    refuses both, and looks at the machine too.
    """
    resolved = request.resolved(ctx, arguments, executor)
    foreseen = foresee(resolved, force=True)
    refused = [*located_violations(resolved), *foreseen.problems]
    if as_json:
        click.echo(json.dumps({**as_data(resolved), "refused": refused}, indent=2))
        return
    click.echo(_as_text(resolved))
    refusals = [f"launch would be refused: {problem}" for problem in refused]
    request.show_notices([*resolved.notices, *foreseen.notices, *refusals])


def as_data(resolved: Resolved) -> dict[str, Any]:
    """`Resolved` as JSON data; argv holds Megatron's arguments alone."""
    return {
        "settings": {name: value for name, value in resolved.settings.items() if value is not None},
        "argv": resolved.megatron_args.argv(),
        "env": dict(resolved.env),
        "origins": {name: str(history[-1].origin) for name, history in resolved.origins.items()},
        "notices": list(resolved.notices),
    }


def _as_text(resolved: Resolved) -> str:
    settings = [(name, str(value)) for name, value in resolved.settings.items() if value is not None]
    flags = [(flag, _value(value)) for flag, value in resolved.megatron_args.items() if value is not False]
    parts = (("Settings", settings), ("Megatron flags", flags), ("Environment", list(resolved.env.items())))
    return "\n\n".join(_section(title, rows, resolved.origins) for title, rows in parts if rows)


def _value(value: Any) -> str:
    return "" if value is True else " ".join(value) if isinstance(value, tuple) else str(value)


def _section(title: str, rows: Sequence[tuple[str, str]], origins: Any) -> str:
    width = max(len(f"{name} {value}") for name, value in rows)
    lines = [f"  {f'{name} {value}':<{min(width, 60)}}  {_origin(origins.get(name))}" for name, value in rows]
    return "\n".join([title, *lines])


def _origin(history: History | None) -> str:
    return str(history[-1].origin) if history else ""

"""`moe-harness plan`: the best mappings of a model onto so many GPUs."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli import request

ARGUMENTS = click.argument("arguments", nargs=-1, type=request.SettingArgument(), metavar=request.ARGUMENTS_METAVAR)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


ELSEWHERE = {
    "score": ("harness.cli.plan_score", "Predictions beside the published results."),
    "calibrate": ("harness.cli.plan_calibrate", "Fit the constants of one machine to its own runs."),
}
"""Commands in modules of their own, loaded when they are called."""


class _PlanGroup(click.Group):
    """`plan MODEL=… GPU=…` is `plan search MODEL=… GPU=…`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        found: click.Command = importlib.import_module(ELSEWHERE[cmd_name][0]).command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [(name, it.get_short_help_str(80)) for name, it in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*own, *((name, text) for name, (_, text) in ELSEWHERE.items())])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = not args or args[0] in self.list_commands(ctx) or args[0] in ctx.help_option_names
        return super().parse_args(ctx, args if named else ["search", *args])


@click.group("plan", cls=_PlanGroup, options_metavar="", subcommand_metavar="MODEL=… GPU=… GPUS=… | COMMAND …")
def command() -> None:
    """Find the best mappings of a model onto so many GPUs, by predicted tokens a second.

    Settings that a search chooses (TP, CP, PP, VPP, EP, ETP, MBS, MOE_TOKEN_DISPATCHER, A2A_OVERLAP) stay as they are
    where they are typed; so do Megatron's flags after --.
    """


@command.command("search")
@ARGUMENTS
@click.option("--why", metavar="TP=8,PP=4", help="Where such mappings rank, or why they cannot run.")
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Also write a page with a plot.")
@AS_JSON
@click.pass_context
def search_command(
    ctx: click.Context, arguments: Sequence[str], why: str | None, page: Path | None, as_json: bool
) -> None:
    """The ten best mappings, and the best of them as a command line."""
    from harness.cli import plan_search

    plan_search.run(ctx, arguments, why=why, page=page, as_json=as_json)


@command.command("scale")
@ARGUMENTS
@AS_JSON
@click.pass_context
def scale_command(ctx: click.Context, arguments: Sequence[str], as_json: bool) -> None:
    """The best mapping on 8 to 16,384 GPUs each, and how well it scales."""
    from harness.cli import plan_scale

    plan_scale.run(ctx, arguments, as_json=as_json)

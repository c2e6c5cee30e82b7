"""`moe-harness eval`: measure checkpoints, and compare what was measured."""

from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

from harness.cli import eval_compare, eval_hf_worker, eval_report, request, screen
from harness.cli.eval_options import BACKENDS, MOST_TOKENS, EvalOptions
from harness.cli.eval_words import is_setting, normalised
from harness.errors import ConfigError
from harness.evaluation.checkpoints import ALL, parse_steps
from harness.launch.executor import Executor


class _EvalGroup(click.Group):
    """`eval CHECKPOINT…` is `eval run CHECKPOINT…`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["run", *args])


class _EvalRun(click.Command):
    """Takes options in the spellings that users of evaluation scripts have."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, normalised(args, screen.notice))


@click.group("eval", cls=_EvalGroup, options_metavar="", subcommand_metavar="CHECKPOINT… | COMMAND …")
def command() -> None:
    """Evaluate checkpoints: loss, routing balance, speed, cost, lm-eval tasks.

    CHECKPOINT is a folder of Megatron's torch_dist, or the id of a training run. All options are in
    `eval run --help`.
    """


def _batch_size(_ctx: click.Context, param: click.Parameter, value: str) -> int:
    if value == "auto":
        return 0
    if not value.isdecimal() or not int(value):
        raise click.BadParameter(f"{value} is neither auto nor a number of sequences", param=param)
    return int(value)


def _steps(_ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        parse_steps(value or ALL)
    except ValueError as error:
        raise click.BadParameter(str(error), param=param) from None
    return value


@command.command("run", cls=_EvalRun, options_metavar="[OPTION]…")
@click.argument("words", nargs=-1, metavar="CHECKPOINT… [KEY=VALUE]… [-- FLAG…]")
@click.option("--checkpoint-dir", envvar="CHECKPOINT_DIR", metavar="DIR", help="A checkpoint, as CHECKPOINT is.")
@click.option("--what", metavar="PART,…", help="Of loss,routing,speed,cost,tasks; default: all that are possible.")
@click.option(
    "--steps", callback=_steps, metavar="all|N,N,…", help="A series: these steps of a run, each evaluated once."
)
@click.option("--val-data", multiple=True, metavar="FILE…", help="Text files, token .npy shards or .bin/.idx prefixes.")
@click.option("--max-tokens", type=click.IntRange(2), default=MOST_TOKENS, show_default=True, help="At most so many.")
@click.option("--seq-len", type=click.IntRange(2), help="Tokens a window; default: the training's, or 1024.")
@click.option("--batch-size", callback=_batch_size, default="auto", metavar="N|auto", help="Sequences at once.")
@click.option("--tasks", multiple=True, metavar="TASK…", help="lm-eval's tasks and groups.")
@click.option("--num-fewshot", type=click.IntRange(0), help="Examples before each question.")
@click.option("--limit", type=click.FloatRange(min=0, min_open=True), help="Documents a task; below 1 a share.")
@click.option("--log-samples", is_flag=True, help="Keep each document's score, for paired comparison.")
@click.option("--include-path", metavar="DIR", help="A folder of task YAMLs of your own.")
@click.option("--apply-chat-template", "chat_template", is_flag=True, help="Ask in the tokenizer's chat format.")
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="megatron",
    show_default=True,
    help="Who answers tasks: our ranks, lm-eval's hf on converted weights, or a script for its megatron_lm.",
)
@click.option("--skip-lm-eval", envvar="SKIP_LM_EVAL", is_flag=True, help="No tasks, whatever --tasks says.")
@click.option("--output-dir", envvar="OUTPUT_DIR", metavar="DIR", help="Default: eval/ beside the checkpoints.")
@click.option(
    "--config-file", envvar="CONFIG_FILE", metavar="FILE", help="A model YAML or resolved.json to hold it to."
)
@click.option("--seed", envvar="SEED", type=int, default=1337, show_default=True, help="Of few-shot draws.")
@click.option("--ngpu", envvar="NGPU", type=click.IntRange(0), help="Ranks; default: the mapping's. 0: CPU ranks.")
@click.option("--ep-ranks", type=click.IntRange(1), help="Tell the experts' load for so many EP ranks; default: EP.")
@click.option("--again", is_flag=True, help="Measure although there is a result.")
@click.option("--on", "executor", type=click.Choice(request.EXECUTORS), help=request.ON_HELP)
@click.option("--dry-run", is_flag=True, help="Print the script, byte for byte what would run, and stop.")
@click.option("--keep", is_flag=True, help="Leave a job in Slurm's queue even if it can never start.")
@request.slurm_options
@click.pass_context
def run(
    ctx: click.Context,
    /,
    words: Sequence[str],
    checkpoint_dir: str | None,
    executor: Executor | None,
    dry_run: bool,
    keep: bool,
    slurm_options: Sequence[str],
    **options: Any,
) -> int:
    """Measure CHECKPOINT, each once; one result file each, and a table."""
    from harness.cli.eval_run import carry_out, prepare

    asked = EvalOptions(**options)
    typed = [word for word in words if is_setting(word)]
    names = [word for word in words if not is_setting(word)]
    if checkpoint_dir and (not names or ctx.get_parameter_source("checkpoint_dir") is ParameterSource.COMMANDLINE):
        names.append(checkpoint_dir)
    if not names:
        raise ConfigError("no checkpoint is named; give its folder, or the id of a training run (runs list shows them)")
    if asked.backend == "megatron_lm":
        from harness.cli.eval_megatron_lm import show_launch

        return show_launch(ctx, names, typed, asked)
    on = executor or request.usual_executor(typed)
    prepared = prepare(ctx, names, typed, on, asked, slurm_options)
    return carry_out(prepared, dry_run=dry_run or prepared.resolved.switch("DRY_RUN"), keep=keep)


command.add_command(eval_compare.command)
command.add_command(eval_report.command)
command.add_command(eval_hf_worker.command)

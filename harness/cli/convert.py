"""`moe-harness convert`: checkpoints between Hugging Face and Megatron."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from harness.errors import EnvironmentProblem

FOLDER = click.Path(path_type=Path)


def _require_numpy() -> None:
    if find_spec("numpy") is None:
        raise EnvironmentProblem(
            "the converter needs numpy; run tools/setup.sh convert, or pip install 'moe-harness[convert]'"
        )


MOST_THREADS = 8
"""Unless told otherwise: more than these wait for the disk."""


def _usual_threads(ctx: click.Context, _param: click.Parameter, value: int | None) -> int:
    """Two a core, so that one hashes while another waits for the disk; a job's node is another machine."""
    if value is not None:
        return value
    return MOST_THREADS if ctx.params.get("place") == "slurm" else min(MOST_THREADS, 2 * len(os.sched_getaffinity(0)))


THREADS = click.option("--threads", type=click.IntRange(1, 64), callback=_usual_threads, help="Threads at work.")


class _ConvertGroup(click.Group):
    """`convert SOURCE TARGET` is `convert run SOURCE TARGET`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = not args or args[0] in self.commands or args[0] in ctx.help_option_names
        return super().parse_args(ctx, args if named else ["run", *args])


@click.group("convert", cls=_ConvertGroup, options_metavar="", subcommand_metavar="SOURCE TARGET | COMMAND …")
def command() -> None:
    """Convert a checkpoint: SOURCE, a folder, into the new folder TARGET.

    A Hugging Face checkpoint becomes Megatron's torch_dist, Megatron's becomes a Hugging Face one. The options of a
    conversion are in `convert run --help`.
    """
    _require_numpy()


@command.command("run")
@click.argument("source", type=FOLDER)
@click.argument("target", type=FOLDER)
@click.option(
    "--to", type=click.Choice(("torch_dist", "hugging-face")), help="What to write; default: the other side's."
)
@click.option("--dtype", type=click.Choice(("bf16", "fp16", "fp32")), help="Default: the source's, bf16 for FP8.")
@click.option(
    "--target-release",
    "release",
    metavar="R",
    help="The Megatron-Core that will load it, e.g. 0.16; notices are those of it.",
)
@click.option("--exact", is_flag=True, help="Only the keys that --target-release asks for, not those of all releases.")
@click.option(
    "--spec", type=click.Choice(("te", "local")), default="te", help="With --exact: whose layers will load it."
)
@click.option("--tp", type=click.IntRange(1), default=1, help="With --exact: the TP by which 0.11 pads the vocabulary.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted conversion stopped.")
@click.option("--dry-run", is_flag=True, help="Print the whole plan, from headers alone, and write nothing.")
@click.option("--on", "place", type=click.Choice(("local", "slurm")), default="local", help="Here, or as a Slurm job.")
@THREADS
@click.pass_context
def run(
    ctx: click.Context,
    /,
    source: Path,
    target: Path,
    place: str,
    threads: int,
    resume: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Convert SOURCE into the new folder TARGET, in one step and bounded memory."""
    from harness.cli import convert_run

    asked = convert_run.ConvertOptions(**options)
    if place == "slurm":
        convert_run.submit(ctx, source, target, asked, threads=threads, dry_run=dry_run)
    else:
        convert_run.run(source, target, asked, threads=threads, resume=resume, dry_run=dry_run)


@command.command("verify")
@click.argument("source", type=FOLDER)
@click.argument("target", type=FOLDER)
@click.option(
    "--logits", is_flag=True, help="Also run both models and compare logits; needs extras engine and tokenizers."
)
@THREADS
def verify_both(source: Path, target: Path, logits: bool, threads: int) -> int:
    """Compare every tensor of SOURCE and TARGET, and every file with its hash."""
    from harness.cli.convert_verify import verify_folders

    return verify_folders(source, target, logits=logits, threads=threads)


@command.command("inspect")
@click.argument("folder", type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect_folder(folder: Path, as_json: bool) -> int:
    """Say what a checkpoint folder is, from its headers alone."""
    from harness.cli.convert_inspect import show_inspection

    return show_inspection(folder, as_json=as_json)


@command.command("flags")
@click.argument("folder", type=FOLDER)
def show_flags(folder: Path) -> None:
    """Print the Megatron flags that the weights in FOLDER need."""
    from ckpt_convert.conversion import model_of, open_folder
    from harness.cli import convert_shown

    with open_folder(folder) as source:
        click.echo(convert_shown.show_flags(model_of(source)))

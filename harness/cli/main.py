"""`moe-harness VERB …`: verbs are loaded when they are called, so that each starts fast."""

import gc
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import click

from harness.cli import screen
from harness.errors import HarnessError

NOT_BEGUN, STOPPED = 2, 130
"""Exit codes: of what could not even begin, and of what Ctrl-C ended."""

GARBAGE_THRESHOLD = 50_000
"""Objects between two collections of cyclic garbage: at Python's 700 a short command spends a twentieth of its time
on looking through what its imports have just made."""

EPILOG = """Exit codes: 0 done; 1 a run failed, was cancelled, or regressed; 2 not begun, for what you wrote or for this
machine; 3 a gate was inconclusive; 130 Ctrl-C while jobs are followed, or while checkpoints are evaluated.

Shell completion: eval "$(_MOE_HARNESS_COMPLETE=bash_source moe-harness)" (or zsh_source, fish_source)."""

VERBS = {
    "models": ("harness.cli.models", "The models there are, with their sizes."),
    "resolve": ("harness.cli.resolve", "The settings, Megatron flags and environment that a job gets."),
    "explain": ("harness.cli.explain", "Where one value came from, and what it won over."),
    "check": ("harness.cli.check", "Everything that keeps a job from running, at once."),
    "estimate": ("harness.cli.estimate", "Memory and step time of one mapping, before it is run."),
    "plan": ("harness.cli.plan", "The best mappings of a model onto so many GPUs."),
    "launch": ("harness.cli.launch", "Run a job here, or submit it to Slurm."),
    "sweep": ("harness.cli.sweep", "Launch many points from one line, and compare them in one table."),
    "convert": ("harness.cli.convert", "Checkpoints from Hugging Face to Megatron and back."),
    "eval": ("harness.cli.eval", "Measure checkpoints: loss, routing, speed, cost, tasks; compare the results."),
    "runs": ("harness.cli.runs", "List, show, watch and cancel runs."),
    "data": ("harness.cli.data", "Make training data from text."),
    "releases": ("harness.cli.releases", "The Megatron releases whose flags are known."),
}
TAKES_FLAGS = ("resolve", "explain", "check", "estimate", "plan", "launch", "sweep", "eval")


class Invocation(NamedTuple):
    """What all verbs share: `extra` are Megatron's own flags, after `--`."""

    extra: Sequence[str]


class Verbs(click.Group):
    """Lists verbs, by name their module and what they do, without importing them."""

    def __init__(self, *args: Any, verbs: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **{"subcommand_metavar": "VERB …", **options})
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._verbs:
            return None
        command: click.Command = importlib.import_module(self._verbs[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in self._verbs.items()])


@click.command(cls=Verbs, verbs=VERBS, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="moe-harness", message="moe-harness %(version)s")
def cli() -> None:
    """From a Mixture-of-Experts checkpoint to a number you can publish.

    Settings are given as KEY=VALUE, by environment variable, or in configuration files; Megatron's own flags
    after --. `moe-harness explain NAME MODEL=…` tells where a value came from.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    own, extra = _split(arguments)
    try:
        _refuse_lost_flags(own, extra)
        result = cli.main(args=own, prog_name="moe-harness", standalone_mode=False, obj=Invocation(extra=extra))
    except HarnessError as error:
        screen.error(str(error))
        return error.exit_code
    except click.exceptions.Abort:  # how click reports Ctrl-C
        return STOPPED
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    return result if isinstance(result, int) else 0


def _show(error: click.ClickException) -> None:
    """Show an error as click does, with our own label."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    if isinstance(error, click.UsageError) and error.ctx:
        screen.progress(f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help' for help.\n")
    screen.error(error.format_message())


def _refuse_lost_flags(own: Sequence[str], extra: Sequence[str]) -> None:
    verb = next((it for it in own if not it.startswith("-")), "")
    if extra and verb in VERBS and verb not in TAKES_FLAGS:
        raise click.UsageError(
            f"{verb} takes no Megatron flags, and would lose what stands after --: {' '.join(extra)}"
        )


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the command line at the first `--`."""
    if "--" not in arguments:
        return list(arguments), []
    at = arguments.index("--")
    return list(arguments[:at]), list(arguments[at + 1 :])


def _null_stream() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _make_printing_safe() -> None:
    """Let no file name of odd bytes and no closed stream end a command."""
    sys.stdout = sys.stdout or _null_stream()
    sys.stderr = sys.stderr or _null_stream()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """Entry point of the `moe-harness` command."""
    gc.set_threshold(GARBAGE_THRESHOLD)
    _make_printing_safe()
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe went away, e.g. `| head`
        sys.stderr.close()
        code = 0
    except OSError as error:  # a full disk under what is printed, say
        with suppress(OSError):
            screen.error(f"{error.filename or 'what was to be printed'}: {error.strerror}")
        code = NOT_BEGUN
    except KeyboardInterrupt:
        code = STOPPED
    gc.freeze()  # Python looks through all objects as it ends, which takes as long as a tenth of a short command
    sys.exit(code)

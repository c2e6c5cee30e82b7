"""What all verbs that resolve a configuration share: their arguments, and the way from words to `Resolved`."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from harness.cli import screen
from harness.cli.main import Invocation
from harness.config.provenance import Resolved
from harness.config.roots import Roots
from harness.config.schema import SETTINGS
from harness.config.sources import Request, resolve_request
from harness.launch.place import Place

PLACES = ("local", "interactive", "slurm")


class Word(click.ParamType[str]):
    """`KEY=VALUE`, completed by the names of settings, models, clusters and choices."""

    name = "KEY=VALUE"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        name, equals, value = incomplete.partition("=")
        if not equals:
            return [CompletionItem(f"{key}=", help=s.help) for key, s in SETTINGS.items() if key.startswith(name)]
        kinds = {"MODEL": "model", "CLUSTER": "cluster", "PROXY": "proxy"}
        if name in kinds:
            options: Sequence[str] = Roots.standard().names(kinds[name])
        else:
            options = SETTINGS[name].choices if name in SETTINGS else ()
        return [CompletionItem(f"{name}={option}") for option in options if option.startswith(value)]


def config_arguments[F: Callable[..., Any]](function: F) -> F:
    """`--on PLACE` and `[KEY=VALUE]…`, the same for every verb that resolves."""
    function = click.argument("words", nargs=-1, type=Word(), is_eager=True)(function)
    help_text = "Where the job is to run; slurm if CLUSTER names a cluster, else local."
    return click.option("--on", "place", type=click.Choice(PLACES), callback=_place, help=help_text)(function)


def _place(ctx: click.Context, param: click.Parameter, value: Place | None) -> Place:
    """Whoever names a cluster means to run there."""
    if value is not None:
        return value
    words: Sequence[str] = ctx.params.get("words") or ()
    typed = [word.removeprefix("CLUSTER=") for word in words if word.startswith("CLUSTER=")]
    cluster = typed[-1] if typed else os.environ.get("CLUSTER", "")
    return "local" if cluster in ("", "laptop") else "slurm"


def resolved(ctx: click.Context, words: Sequence[str], place: Place) -> Resolved:
    """Resolve what the user typed, in this environment, for a place."""
    invocation: Invocation = ctx.obj
    request = Request(
        words=words,
        extra=invocation.extra,
        environ=dict(os.environ),
        default_cluster="template" if place == "slurm" else "laptop",
        place=place,
        gpus=len(list(Path("/dev").glob("nvidia[0-9]*"))),
    )
    return resolve_request(request, Roots.standard())


def say_notices(notices: Sequence[str]) -> None:
    """Notices go to stderr, so that stdout can be read by a program."""
    for text in notices:
        screen.notice(text)

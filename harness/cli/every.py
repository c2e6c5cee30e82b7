"""`--every SECONDS`, of the verbs that follow jobs."""

import math

import click

EVERY_S = 5.0
"""How often Slurm is asked, unless told: seldom enough for the controller of a large cluster."""


def _finite(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no time", ctx, param)
    return value


EVERY = click.option(
    "--every",
    "every_s",
    type=click.FloatRange(min=0.05),
    default=EVERY_S,
    show_default=True,
    callback=_finite,
    metavar="SECONDS",
    help="How often Slurm is asked.",
)

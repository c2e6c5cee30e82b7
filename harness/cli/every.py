"""`--every SECONDS`, of the verbs that follow jobs."""

import click

EVERY_S = 5.0
"""How often Slurm is asked, unless told: seldom enough for the controller of a large cluster."""

EVERY = click.option(
    "--every",
    "every_s",
    type=click.FloatRange(min=0.05),
    default=EVERY_S,
    show_default=True,
    metavar="SECONDS",
    help="How often Slurm is asked.",
)

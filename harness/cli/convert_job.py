"""A conversion as a Slurm job: the same command, on a node of the cluster."""

from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli import request
from harness.conversion.job import conversion_job
from harness.launch.run import open_run
from harness.launch.slurm.submit import Refused, submit_script
from harness.runs.render_job import render_job
from harness.runs.submission import forget

# Only the cluster's settings are read of what is resolved, but nothing is resolved without a model and its data.
_ANY_TRAINING = ("MODEL=Mixtral-8x7B", "DATASET=mock", "PRETRAIN=1")


def submit_conversion(
    ctx: click.Context, target: Path, arguments: Sequence[str], *, threads: int, dry_run: bool
) -> None:
    """Hand `moe-harness convert run ARGUMENTS` to Slurm, or print the script."""
    resolved = request.resolved(ctx, _ANY_TRAINING, "slurm")
    rendered = render_job(resolved, conversion_job(resolved, "slurm", target, arguments, threads=threads))
    if dry_run:
        click.echo(rendered.script, nl=False)
        return
    paths = open_run(resolved, rendered).paths
    try:
        taken = submit_script(paths)
    except Refused as refused:
        if not refused.unsure:
            forget(paths.root)
        raise
    click.echo(f"submitted job {taken.job_id}{f' on {taken.cluster}' if taken.cluster else ''}")
    click.echo(f"log: {paths.log}")

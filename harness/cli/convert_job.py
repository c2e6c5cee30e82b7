"""Run a conversion with a record: in this process, or as a Slurm job."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from harness.cli import request, screen
from harness.config.cluster import resolve_cluster
from harness.config.provenance import Resolved
from harness.config.request import Request
from harness.config.roots import Roots
from harness.config.schema import SETTINGS
from harness.conversion.job import conversion_job
from harness.errors import ConfigError
from harness.launch.executor import Executor
from harness.launch.run import open_run, output_path_of
from harness.launch.script.render import RenderedJob
from harness.runs.in_process_run import WriteLine, run_in_process
from harness.runs.render_job import render_job

_NEEDED = ("ACCOUNT", "PARTITION", "SBATCH_ARGS", "OUTPUT_PATH")
"""The cluster's settings that a conversion needs."""

_NEEDED_HERE = ("CLUSTER", "OUTPUT_PATH")
"""Those that one on this node needs."""


def convert_recorded(
    target: Path, arguments: Sequence[str], work: Callable[[WriteLine], None], *, threads: int
) -> None:
    """Convert in this process, as a run with a folder and a record of its own."""
    resolved, rendered = _rendered("local", target, arguments, threads=threads)
    run = open_run(resolved, rendered)
    run_in_process(run, resolved, work, screen)


def submit_conversion(target: Path, arguments: Sequence[str], *, threads: int, dry_run: bool) -> int:
    """Submit `moe-harness convert run ARGUMENTS` to Slurm, or print the script."""
    resolved, rendered = _rendered("slurm", target, arguments, threads=threads)
    if dry_run:
        click.echo(rendered.script.encode(errors="surrogateescape"), nl=False)
        return 0
    from harness.cli.submit import submit_and_show  # a dry run starts faster without what submitting takes

    run = open_run(resolved, rendered)
    request.show_notices(run.notices)
    return submit_and_show(run, resolved)


def _rendered(
    executor: Executor, target: Path, arguments: Sequence[str], *, threads: int
) -> tuple[Resolved, RenderedJob]:
    cluster, environ = "template", dict(os.environ)
    if executor == "local":  # of a launch's settings it needs no more than where runs are kept
        cluster = "laptop"
        environ = {name: text for name, text in environ.items() if name in _NEEDED_HERE or name not in SETTINGS}
    asked = Request(environ=environ, default_cluster=cluster, executor=executor)
    resolved = resolve_cluster(asked, Roots.standard(), needed=_NEEDED)
    if output_path_of(resolved).is_relative_to(target.absolute()):
        raise ConfigError(f"{target}: runs are kept there; choose another target, or set OUTPUT_PATH=FOLDER")
    return resolved, render_job(resolved, conversion_job(resolved, executor, target, arguments, threads=threads))

"""A conversion as a Slurm job: the same command, on a node of the cluster."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from harness.cli import request
from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.one_process_job import OneProcessJob, one_process_job, render_one_process
from harness.launch.rundir import create_run_dir
from harness.launch.slurm.submit import Refused, require_sbatch, submit_script
from harness.runs.submission import forget

# Only the cluster's settings are read of what is resolved, but nothing is resolved without a model and its data.
_ANY_TRAINING = ("MODEL=Mixtral-8x7B", "DATASET=mock", "PRETRAIN=1")


@dataclass(frozen=True, kw_only=True)
class ConvertJob:
    """A task, and the folder in which it gets one of its own."""

    spec: OneProcessJob
    output_path: Path


def plan_job(ctx: click.Context, target: Path, words: Sequence[str], *, threads: int) -> ConvertJob:
    """The job that runs `moe-harness convert run WORDS`.

    Account, partition and SBATCH_ARGS are those of CLUSTER, as for a launch; RUN_TIME counts if it is exported, since
    the one of the models is that of a benchmark.
    """
    resolved = request.resolved(ctx, _ANY_TRAINING, "slurm")
    _refuse_template(resolved)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", target.absolute().name)
    spec = one_process_job(
        resolved,
        f"convert-{name}",
        (sys.executable, "-m", "harness", "convert", "run", *words),
        folder=str(Path.cwd()),
        cpus=threads,
        time_limit=os.environ.get("RUN_TIME") or None,
    )
    if not resolved.text("OUTPUT_PATH"):
        raise ConfigError(
            "OUTPUT_PATH is not set, and the job's script and log need a folder in it; set OUTPUT_PATH=FOLDER"
        )
    return ConvertJob(spec=spec, output_path=Path(resolved.text("OUTPUT_PATH")))


def _refuse_template(resolved: Resolved) -> None:
    """ConfigError where the cluster's conf still has the template's words for account and partition."""
    problems = [
        f"{resolved.origin(name)}: {name}={resolved.text(name)} is not filled in; copy the file to NAME.conf, set"
        f" {name} there and CLUSTER=NAME, or export {name}"
        for name in ("ACCOUNT", "PARTITION")
        if resolved.text(name).startswith("YOUR_")
    ]
    if problems:
        raise ConfigError(problems)


def submit_job(job: ConvertJob) -> None:
    """Write the script into a folder of its own and hand it to Slurm."""
    require_sbatch()
    paths = create_run_dir(job.output_path, job.spec.name)
    paths.script.write_text(render_one_process(job.spec), encoding="utf-8", errors="surrogateescape")
    try:
        taken = submit_script(paths)
    except Refused as refused:
        if not refused.unsure:
            forget(paths.root)
        raise
    click.echo(f"submitted job {taken.job_id}{f' on {taken.cluster}' if taken.cluster else ''}")
    click.echo(f"log: {paths.log}")

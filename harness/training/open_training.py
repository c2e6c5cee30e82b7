"""Open a training's run: check what its ranks need, and make the sample data where it is asked for."""

import shutil
from pathlib import Path

from harness.config.provenance import Resolved
from harness.config.rules.data import sample_prefix
from harness.data.sample import prepare_sample
from harness.errors import ConfigError, EnvironmentProblem
from harness.launch.embedded_engine import require_engine
from harness.launch.job import Job
from harness.launch.run import Run, open_run, output_path_of
from harness.launch.script.render import RenderedJob
from harness.training.input_paths import path_problems
from harness.training.job import profiled_by_nsys


def open_training(resolved: Resolved, rendered: RenderedJob) -> Run:
    """Open the run of a training. ConfigError and EnvironmentProblem say what is missing.

    Paths that Slurm's nodes will read may be out of a login node's sight, so for Slurm they are only noticed.
    """
    return open_run(
        resolved,
        rendered,
        check=lambda: _check(resolved, rendered.job),
        make_inputs=lambda: _make_sample(resolved),
    )


def _check(resolved: Resolved, job: Job) -> list[str]:
    _require_programs(resolved, job)
    output_path_of(resolved)
    problems = path_problems(resolved, job)
    if problems and job.executor != "slurm":
        raise ConfigError(problems)
    notices = [f"{problem} (unless the compute nodes see it)" for problem in problems]
    if job.executor == "slurm" and job.container is None and resolved.text("CONTAINER_RUNTIME") != "none":
        notices.append("CONTAINER_IMAGE is not set: the job runs on the bare nodes")
    return notices


def _make_sample(resolved: Resolved) -> list[str]:
    """DATASET=sample: make the text that ships into Megatron's format, once."""
    prefix = sample_prefix(resolved.text("OUTPUT_PATH"))
    if resolved.text("DATA_PATH") != prefix or not prepare_sample(Path(prefix)):
        return []
    return [f"made the sample text into {prefix}.bin and .idx"]


def _require_programs(resolved: Resolved, job: Job) -> None:
    """EnvironmentProblem where this machine lacks what ranks on the bare host run by."""
    if job.container:
        return
    if resolved.embedded:
        require_engine(instead="; or set MEGATRON_PATH")  # under Slurm the nodes run this interpreter
    elif job.executor != "slurm" and shutil.which(job.program.python) is None:
        raise EnvironmentProblem("python is not on PATH, and MEGATRON_PATH runs by it; activate its environment")
    if job.executor != "slurm" and profiled_by_nsys(resolved) and shutil.which("nsys") is None:
        raise EnvironmentProblem("nsys is not on PATH, and PROFILE needs it; install it, or set PROFILE=torch")

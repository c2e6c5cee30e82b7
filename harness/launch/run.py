"""Open a job's run as a folder, and run it on this node."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.config.provenance import Resolved
from harness.errors import ConfigError, EnvironmentProblem
from harness.launch.job import Job
from harness.launch.run_inputs import write_inputs
from harness.launch.rundir import RunPaths, create_run_dir, make_folders
from harness.launch.script.render import RenderedJob
from harness.launch.slurm.submit import require_sbatch
from harness.launch.supervise import OnLine, supervise

type Prepare = Callable[[], Sequence[str]]
type EndStatus = Literal["completed", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A job with a folder of its own, and the notices for the user.

    A `task` of an array is submitted in another folder than its own, which all its tasks share.
    """

    job: Job
    paths: RunPaths
    notices: tuple[str, ...] = ()
    task: int | None = None
    submitted_in: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run on this node ended."""

    status: EndStatus
    exit_code: int


def open_run(
    resolved: Resolved, rendered: RenderedJob, *, check: Prepare = lambda: (), make_inputs: Prepare = lambda: ()
) -> Run:
    """Check what the executor needs, and make the run's folder with its configuration, argv, environment and script.

    `check` looks for what the program needs, before there is a folder; `make_inputs` makes what it will read beside.
    Both return notices.
    """
    job = rendered.job
    _require_executor(job)
    noticed = check()
    paths = create_run_dir(output_path_of(resolved), job.name)
    made = make_inputs()
    write_inputs(paths, resolved, job, rendered.script)
    return Run(job=job, paths=paths, notices=(*made, *noticed))


def open_array(resolved: Resolved, rendered: RenderedJob) -> tuple[Run, ...]:
    """Open a run for each task of an array: folders beside the one that the array is submitted in.

    ConfigError and EnvironmentProblem as for `open_run`; ValueError for a job that is no array.
    """
    job = rendered.job
    if job.array is None:
        raise ValueError(f"{job.name} is no array")
    shared = open_run(resolved, rendered).paths.root
    folders = [shared.with_name(f"{shared.name}-{task}") for task in range(job.array.tasks)]
    try:
        for folder in folders:
            make_folders(RunPaths(folder))
            write_inputs(RunPaths(folder), resolved, job, rendered.script)
    except EnvironmentProblem:  # the disk has no room for all of them
        for folder in (shared, *folders):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return tuple(Run(job=job, paths=RunPaths(at), task=task, submitted_in=shared) for task, at in enumerate(folders))


def output_path_of(resolved: Resolved) -> Path:
    """The folder that holds the runs. ConfigError where OUTPUT_PATH is not set."""
    if not resolved.text("OUTPUT_PATH"):
        raise ConfigError("OUTPUT_PATH is not set, and each run needs a folder in it; set OUTPUT_PATH=FOLDER")
    return Path(resolved.text("OUTPUT_PATH"))


def run_here(run: Run, on_line: OnLine) -> Outcome:
    """Run an opened run on this node, each line of its ranks (`RANK: text`) to `on_line`, until it has ended."""
    ended = supervise(run.paths, os.environ, on_line)
    if ended.stopped_by:
        return Outcome(status="cancelled", exit_code=128 + ended.stopped_by)
    return Outcome(status="failed" if ended.exit_code else "completed", exit_code=ended.exit_code)


def _require_executor(job: Job) -> None:
    if job.executor == "slurm":
        require_sbatch()
    elif job.container and shutil.which("enroot") is None:
        raise EnvironmentProblem(
            f"enroot is not on PATH, and CONTAINER_IMAGE={job.container.image} needs it; install enroot,"
            " or unset CONTAINER_IMAGE to run on this node itself"
        )

"""The launch of a job: opened as a folder, then run here or submitted."""

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from harness.config.provenance import Resolved
from harness.config.rules.data import sample_prefix
from harness.data.sample import prepare_sample
from harness.errors import ConfigError, EnvironmentProblem
from harness.launch.inputs import write_inputs
from harness.launch.job import JobSpec, profiled_by_nsys
from harness.launch.plan import Launch
from harness.launch.preflight import path_problems
from harness.launch.rank_error import RankError, find_rank_error
from harness.launch.rundir import RunPaths, create_run_dir
from harness.launch.slurm.submit import require_sbatch
from harness.launch.supervise import OnLine, supervise

type EndStatus = Literal["completed", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A launch with a folder of its own, and what the user should know of it."""

    spec: JobSpec
    paths: RunPaths
    notices: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run on this node ended; `error` is there when it failed."""

    status: EndStatus
    exit_code: int
    error: RankError | None = None


def open_run(resolved: Resolved, launch: Launch) -> Run:
    """Checks this machine, makes the sample data if that is asked for, and the run's folder with its inputs.

    Paths that Slurm's nodes will read may be out of a login node's sight, so for Slurm they are only noticed.
    """
    spec = launch.spec
    _require_programs(resolved, spec)
    if not resolved.text("OUTPUT_PATH"):
        raise ConfigError("OUTPUT_PATH is not set, and each run needs a folder in it; set OUTPUT_PATH=FOLDER")
    problems = path_problems(resolved, spec)
    if problems and spec.place != "slurm":
        raise ConfigError(problems)
    paths = create_run_dir(Path(resolved.text("OUTPUT_PATH")), spec.name)
    made = _sample(resolved)
    write_inputs(paths, resolved, spec, launch.script)
    notices = [*made, *(f"{problem} (unless the compute nodes see it)" for problem in problems)]
    if spec.place == "slurm" and spec.image is None and resolved.text("CONTAINER_RUNTIME") != "none":
        notices.append("CONTAINER_IMAGE is not set: the job runs on the bare nodes")
    return Run(spec=spec, paths=paths, notices=tuple(notices))


def run_here(run: Run, on_line: OnLine) -> Outcome:
    """Runs an opened run on this node, each line of its ranks (`RANK: text`) to `on_line`, until it has ended."""
    ended = supervise(run.paths, os.environ, on_line)
    if ended.stopped_by:
        return Outcome(status="cancelled", exit_code=128 + ended.stopped_by)
    if ended.exit_code == 0:
        return Outcome(status="completed", exit_code=0)
    return Outcome(status="failed", exit_code=ended.exit_code, error=find_rank_error(run.paths))


def _sample(resolved: Resolved) -> list[str]:
    """DATASET=sample: the text that ships is made into Megatron's format once."""
    prefix = sample_prefix(resolved.text("OUTPUT_PATH"))
    if resolved.text("DATA_PATH") != prefix or not prepare_sample(Path(prefix)):
        return []
    return [f"made the sample text into {prefix}.bin and .idx"]


def _require_programs(resolved: Resolved, spec: JobSpec) -> None:
    if spec.place == "slurm":
        if resolved.embedded and not spec.image:
            _require_engine()  # the nodes run this interpreter
        require_sbatch()
        return
    if spec.image:
        if shutil.which("enroot") is None:
            raise EnvironmentProblem(
                f"enroot is not on PATH, and CONTAINER_IMAGE={spec.image} needs it; install enroot,"
                " or unset CONTAINER_IMAGE to run on this node itself"
            )
        return
    if resolved.embedded:
        _require_engine()
    elif shutil.which(spec.python) is None:
        raise EnvironmentProblem("python is not on PATH, and MEGATRON_PATH runs by it; activate its environment")
    if profiled_by_nsys(resolved) and shutil.which("nsys") is None:
        raise EnvironmentProblem("nsys is not on PATH, and PROFILE needs it; install it, or set PROFILE=torch")


def _require_engine() -> None:
    missing = [name for name in ("torch", "megatron.core") if not _is_installed(name)]
    if missing:
        raise EnvironmentProblem(
            f"the embedded engine is not installed here (no {', no '.join(missing)});"
            " run tools/setup.sh engine in a checkout, or pip install 'moe-harness[engine]'; or set MEGATRON_PATH"
        )


def _is_installed(module: str) -> bool:
    package = module.partition(".")[0]
    return find_spec(package) is not None and find_spec(module) is not None

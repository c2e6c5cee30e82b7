"""Handing a script to Slurm."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import EnvironmentProblem
from harness.launch.rundir import RunPaths

_ANSWER = re.compile(r"^(?P<job_id>\d+)(?:;(?P<cluster>\S+))?$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class SlurmJob:
    """A job that Slurm took."""

    job_id: str
    cluster: str | None


def require_sbatch() -> str:
    """The path of sbatch."""
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        raise EnvironmentProblem(
            "sbatch is not on PATH, so this machine cannot submit to Slurm; use a login node of the cluster,"
            " --on interactive (this node), --on local (the embedded engine), or DRY_RUN=1 to see the script"
        )
    return sbatch


def submit_script(paths: RunPaths) -> SlurmJob:
    """Submits the script of a run's folder as it lies there."""
    command = [require_sbatch(), "--parsable", "--export=ALL", f"--chdir={paths.root}", f"--output={_log_name(paths)}"]
    # The script is named, and also stands on stdin: sbatch must not wait for a terminal, whatever wraps it here.
    with paths.script.open("rb") as script:
        answer = subprocess.run(
            [*command, str(paths.script)],
            stdin=script,
            env=_environment(paths, os.environ),
            capture_output=True,
            text=True,
            errors="replace",
        )
    said = "\n".join(filter(None, (answer.stderr.strip(), answer.stdout.strip())))
    if answer.returncode != 0:
        raise EnvironmentProblem(f"sbatch refused the job (exit {answer.returncode}): {said}\nscript: {paths.script}")
    match = _ANSWER.search(answer.stdout)
    if match is None:
        raise EnvironmentProblem(f"sbatch did not answer with a job id but with: {said!r}\nscript: {paths.script}")
    return SlurmJob(job_id=match["job_id"], cluster=match["cluster"])


def _log_name(paths: RunPaths) -> str:
    return str(paths.log).replace("%", "%%")  # sbatch expands %j and the like


def _environment(paths: RunPaths, caller: Mapping[str, str]) -> dict[str, str]:
    """The caller's, secrets included, and RUN_DIR; less what would win over the script's own #SBATCH lines."""
    inherited = {
        name: value
        for name, value in caller.items()
        if name == "SLURM_CONF" or not name.startswith(("SBATCH_", "SLURM_"))
    }
    return inherited | {"RUN_DIR": str(paths.root)}

"""Submit a script to Slurm, and cancel its job."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import EnvironmentProblem
from harness.launch.rundir import RunPaths
from harness.launch.slurm.command import call, cluster_name, cluster_option, inherited

_ANSWER = re.compile(r"^(?P<job_id>\d+)(?:;(?P<cluster>\S+))?$", re.MULTILINE)

# slurmctld may have taken the job although its answer came too late, or sbatch was ended.
_MAY_BE_SUBMITTED = re.compile(
    r"[Tt]imed out|[Ss]ocket|Zero Bytes|[Cc]onnection (reset|closed)|receive failure|Unspecified error"
)

_FIXES = (
    (r"[Ii]nvalid partition|partition specified|partition not available", "set PARTITION to one that `sinfo -s` lists"),
    (
        r"account or account/partition|Invalid account|account specified",
        "set ACCOUNT to one that `sacctmgr show assoc user=$USER format=account,partition,qos` lists",
    ),
    (r"[Ii]nvalid qos", "give --qos in SBATCH_ARGS as `sacctmgr show assoc user=$USER format=account,qos` lists it"),
    (r"node name", "correct the nodes named in SBATCH_ARGS; `sinfo -N` lists them"),
    (r"unrecognized option", "this release of Slurm does not have that option; leave it out"),
    (r"feature specification", "correct --constraint in SBATCH_ARGS; `sinfo -o '%N %f'` lists the features"),
    (
        r"generic resource|gres",
        "no node has GPUS_PER_NODE GPUs; set GPUS_PER_NODE to what `sinfo -o '%N %G'` lists; where it lists none at"
        " all, SBATCH_ARGS=--gpus-per-node=0 asks Slurm for none",
    ),
    (r"Memory specification", "ask for less with --mem in SBATCH_ARGS; `sinfo -o '%N %m'` lists a node's MB"),
    (
        r"node configuration is not available|[Mm]ore processors|CPU count",
        "PARTITION has not so many nodes of that size, without those that SBATCH_ARGS excludes; compare NNODES and"
        " GPUS_PER_NODE with `sinfo -o '%P %D %c %m %G'`",
    ),
    (r"time limit", "set RUN_TIME within the limit that `sinfo -o '%P %l'` lists"),
    (r"reservation", "name one of `scontrol show reservation`, or leave --reservation out"),
    (r"dependency", "name a job that Slurm still knows: `squeue --me`"),
    (r"AssocMax|QOSMax|violates accounting|limit", "you have as many jobs as you may; wait until some have ended"),
    (r"contact slurm controller|not yet connected", "slurmctld does not answer; try again, or ask the admins"),
)
"""What to change, by what sbatch prints; the first that matches."""


@dataclass(frozen=True, kw_only=True)
class SlurmJob:
    """A job that Slurm accepted; `cluster` is None where its name is not known."""

    job_id: str
    cluster: str | None


class Refused(EnvironmentProblem):
    """sbatch refused the job. `may_be_submitted`: Slurm may have accepted it all the same."""

    def __init__(self, text: str, *, may_be_submitted: bool) -> None:
        super().__init__(text)
        self.may_be_submitted = may_be_submitted


def require_sbatch() -> str:
    """The path of sbatch; EnvironmentProblem where there is none."""
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        raise EnvironmentProblem(
            "sbatch is not on PATH, so this machine cannot submit to Slurm; use a login node of the cluster,"
            " --on interactive (this node), --on local (the embedded engine), or DRY_RUN=1 to see the script"
        )
    return sbatch


def submit_script(paths: RunPaths, options: Sequence[str] = (), *, is_array: bool = False) -> SlurmJob:
    """Submit the script of a run's folder as it lies there, with further options of sbatch. Refused says why not.

    Of an array `paths` is the folder that its tasks' folders stand beside, `FOLDER-0`, `FOLDER-1`, ….
    """
    log = _log_name(paths, is_array=is_array)
    command = [require_sbatch(), "--parsable", "--export=ALL", f"--chdir={paths.root}", f"--output={log}"]
    # The script is named, and also stands on stdin: sbatch must not wait for a terminal, whatever wraps it here.
    with paths.script.open("rb") as script:
        answer = subprocess.run(
            [*command, *options, str(paths.script)],
            stdin=script,
            env=inherited(os.environ) | {"RUN_DIR": str(paths.root)},  # secrets are inherited
            capture_output=True,
            text=True,
            errors="replace",
        )
    output = "\n".join(filter(None, (answer.stderr.strip(), answer.stdout.strip())))
    if answer.returncode != 0:
        raise Refused(
            f"sbatch refused the job (exit {answer.returncode}): {output}{_fix(output)}",
            may_be_submitted=answer.returncode < 0 or bool(_MAY_BE_SUBMITTED.search(output)),
        )
    match = _ANSWER.search(answer.stdout)
    if match is None:
        raise Refused(f"sbatch did not answer with a job id but with: {output!r}", may_be_submitted=True)
    return SlurmJob(job_id=match["job_id"], cluster=match["cluster"] or cluster_name())


def cancel(job_id: str, *, cluster: str | None) -> str | None:
    """Ask Slurm to end a job; return what scancel complained of, None if nothing. Its exit code means nothing."""
    answer = call(["scancel", *cluster_option(cluster), job_id])
    return answer.stderr.removeprefix("scancel: error: ") or None


def _fix(output: str) -> str:
    fix = next((fix for pattern, fix in _FIXES if re.search(pattern, output)), None)
    return f"; {fix}" if fix else ""


def _log_name(paths: RunPaths, *, is_array: bool) -> str:
    """The path of the log as sbatch expands it: `%%` is a per cent sign, `%a` the task's index."""
    root = str(paths.root).replace("%", "%%")
    return f"{root}{'-%a' if is_array else ''}/{paths.log.name}"

"""Call Slurm's programs so that neither the user's environment nor a slow controller decides what they answer."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PATIENCE_S = 12.0
"""The timeout of a call. Without its controller Slurm's own programs give up after 10 to 20 s."""

_CLUSTER = re.compile(r"^ClusterName\s*=\s*(\S+)$", re.MULTILINE)
_NAMES: dict[str, str] = {}
"""The cluster names by SLURM_CONF, asked for once: they do not change while a command runs."""

_OF_THE_CLUSTER = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT")
_THEIRS = ("SLURM_", "SBATCH_", "SRUN_", "SQUEUE_", "SACCT_", "SCANCEL_", "SINFO_")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The output of a Slurm program. `code` is None if it could not be run, and `stderr` says why."""

    code: int | None
    stdout: str
    stderr: str


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Drop the variables that would change Slurm's defaults, such as SBATCH_ACCOUNT of an allocation we are in."""
    return {name: value for name, value in environ.items() if name in _OF_THE_CLUSTER or not name.startswith(_THEIRS)}


def call(command: Sequence[str], *, patience_s: float = PATIENCE_S) -> Answer:
    """Run one of Slurm's programs; times in its answer are seconds since the epoch, texts those of the C locale."""
    environ = inherited(os.environ) | {"SLURM_TIME_FORMAT": "%s", "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience_s,
        )
    except FileNotFoundError:
        return Answer(code=None, stdout="", stderr=f"{command[0]} is not on PATH")
    except subprocess.TimeoutExpired:
        return Answer(code=None, stdout="", stderr=f"{command[0]} did not answer within {patience_s:g} s")
    except OSError as error:
        return Answer(code=None, stdout="", stderr=f"{command[0]}: {error.strerror}")
    return Answer(code=done.returncode, stdout=done.stdout, stderr=done.stderr.strip())


def cluster_name() -> str | None:
    """The name of the cluster that this machine speaks to; None while Slurm does not answer."""
    conf = os.environ.get("SLURM_CONF", "")
    if conf not in _NAMES and (found := _CLUSTER.search(call(["scontrol", "show", "config"]).stdout)):
        _NAMES[conf] = found[1]
    return _NAMES.get(conf)


def is_elsewhere(cluster: str | None) -> bool:
    """Whether a job's cluster is another one than this machine speaks to, as far as both are known."""
    return cluster is not None and cluster_name() not in (None, cluster)


def cluster_option(cluster: str | None) -> tuple[str, ...]:
    """The option that sends a command to another cluster, which works where one accounting knows both."""
    return (f"--clusters={cluster}",) if is_elsewhere(cluster) else ()

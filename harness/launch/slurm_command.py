"""Slurm's programs, called so that neither the user's environment nor a slow controller decides what they answer."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PATIENCE_S = 12.0
"""How long an answer is waited for. Without its controller Slurm's own programs give up after 10 to 20 s."""

_OF_THE_CLUSTER = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT")
_THEIRS = ("SLURM_", "SBATCH_", "SRUN_", "SQUEUE_", "SACCT_", "SCANCEL_", "SINFO_")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a program of Slurm said. `code` is None if it could not be asked, and `said` tells why."""

    code: int | None
    out: str
    said: str


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without what would change Slurm's defaults, such as SBATCH_ACCOUNT of an allocation we are in."""
    return {name: value for name, value in environ.items() if name in _OF_THE_CLUSTER or not name.startswith(_THEIRS)}


def call(words: Sequence[str], *, patience_s: float = PATIENCE_S) -> Answer:
    """Run one of Slurm's programs; times in its answer are seconds since the epoch, texts those of the C locale."""
    environ = inherited(os.environ) | {"SLURM_TIME_FORMAT": "%s", "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(
            words,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience_s,
        )
    except FileNotFoundError:
        return Answer(code=None, out="", said=f"{words[0]} is not on PATH")
    except subprocess.TimeoutExpired:
        return Answer(code=None, out="", said=f"{words[0]} did not answer within {patience_s:g} s")
    except OSError as error:
        return Answer(code=None, out="", said=f"{words[0]}: {error.strerror}")
    return Answer(code=done.returncode, out=done.stdout, said=done.stderr.strip())

"""A launch as text: what would run, before anything is touched."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from harness.config.provenance import Resolved
from harness.launch.job import JobSpec, job_spec
from harness.launch.place import Place
from harness.launch.script.render import render_script


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A job and the script that will run; a dry run prints `script` and ends here."""

    spec: JobSpec
    script: str


def plan_launch(
    resolved: Resolved, place: Place, *, slurm_options: Sequence[str] = (), python: str = sys.executable
) -> Launch:
    """The job and its script; touches nothing. `slurm_options` are further options of sbatch, e.g. `--segment=4`."""
    spec = job_spec(resolved, place, slurm_options=slurm_options, python=python)
    return Launch(spec=spec, script=render_script(spec))

"""A launch as text: what would run, before anything is touched."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from harness.config.provenance import Resolved
from harness.config.secrets import is_secret, named_in
from harness.errors import ConfigError
from harness.launch.executor import Executor
from harness.launch.job import JobSpec, job_spec
from harness.launch.script.render import render_script


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A job and the script that will run; a dry run prints `script` and ends here."""

    spec: JobSpec
    script: str


def plan_launch(
    resolved: Resolved, place: Executor, *, slurm_options: Sequence[str] = (), python: str = sys.executable
) -> Launch:
    """The job and its script; touches nothing. `slurm_options` are further options of sbatch, e.g. `--segment=4`."""
    spec = job_spec(resolved, place, slurm_options=slurm_options, python=python)
    script = render_script(spec)
    _refuse_secrets(resolved, script)
    return Launch(spec=spec, script=script)


def _refuse_secrets(resolved: Resolved, script: str) -> None:
    """ConfigError where the value of an exported secret was typed as something else."""
    settings = (str(value) for name, value in resolved.settings.items() if not is_secret(name))
    if named := named_in([script, *settings], os.environ):
        raise ConfigError(
            f"the value of {' and '.join(named)} would stand readable in the job's script or configuration; take it"
            " out of the setting or flag that holds it: the job inherits it from your environment"
        )

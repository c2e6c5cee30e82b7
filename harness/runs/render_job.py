"""A job of any kind with its script, before anything is touched."""

import os

from harness.config.provenance import Resolved
from harness.config.secrets import is_secret, named_in
from harness.errors import ConfigError
from harness.launch.job import Job
from harness.launch.script.render import RenderedJob, render_script
from harness.launch.script.slurm_job import RetryPatterns


def render_job(resolved: Resolved, job: Job) -> RenderedJob:
    """The job with its script. ConfigError where the value of an exported secret was typed as something else."""
    script = render_script(job, _retry_patterns() if job.retries else None)
    settings = (str(value) for name, value in resolved.settings.items() if not is_secret(name))
    if named := named_in([script, *settings], os.environ):
        raise ConfigError(
            f"the value of {' and '.join(named)} would stand readable in the job's script or configuration; take it"
            " out of the setting or flag that holds it: the job inherits it from your environment"
        )
    return RenderedJob(job=job, script=script)


def _retry_patterns() -> RetryPatterns:
    from harness.runs.triage.signatures import retry_patterns  # imported late: YAML for jobs with retries alone

    return retry_patterns()

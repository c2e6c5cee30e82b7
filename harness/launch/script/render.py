"""The job's script, as one pure function of the job: the dry run prints it, and the very same bytes run.

Nothing in it depends on the time or the run: the run's folder comes in as the variable RUN_DIR.
"""

from typing import NamedTuple

from harness.launch.job import Job
from harness.launch.script.one_node import one_node_lines
from harness.launch.script.slurm_job import RetryPatterns, slurm_lines


class RenderedJob(NamedTuple):
    """A job and the script that will run; a dry run prints `script` and ends here."""

    job: Job
    script: str


def render_script(job: Job, patterns: RetryPatterns | None = None) -> str:
    """The whole script: an sbatch script for Slurm, else one that starts torchrun on this node.

    `patterns` are those of the faults after which a job with retries starts anew.
    """
    lines = slurm_lines(job, patterns) if job.executor == "slurm" else one_node_lines(job)
    return "\n".join(lines) + "\n"

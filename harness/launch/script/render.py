"""The job's script, as one pure function of the job: the dry run prints it, and the very same bytes run.

Nothing in it depends on the time or the run: the run's folder comes in as the variable RUN_DIR.
"""

from harness.launch.job import JobSpec
from harness.launch.script.one_node import one_node_lines
from harness.launch.script.slurm_job import slurm_lines


def render_script(spec: JobSpec) -> str:
    """The whole script: an sbatch script for Slurm, else one that starts torchrun on this node."""
    lines = slurm_lines(spec) if spec.place == "slurm" else one_node_lines(spec)
    return "\n".join(lines) + "\n"

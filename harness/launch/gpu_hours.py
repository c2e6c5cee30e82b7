"""The GPU-hours that a job may cost."""

from harness.arch.parallel import world_size
from harness.config.provenance import Resolved
from harness.launch.slurm.time_limit import parse_time_limit_s


def gpu_hours(resolved: Resolved) -> float:
    """GPU-hours of the whole time limit."""
    return world_size(resolved) * parse_time_limit_s(resolved.text("RUN_TIME")) / 3600

"""Format the predicted step and the highest cost of a job, in a line."""

from typing import TYPE_CHECKING

from harness.launch.gpu_hours import gpu_hours
from harness.training.assessment import Assessment
from harness.units import show_bytes, show_hours, show_seconds

if TYPE_CHECKING:  # a launch without a known GPU starts faster without the cost model
    from harness.plan.candidate import Candidate


def show_job_cost(found: Assessment) -> str:
    """The predicted step where the GPU is known, and the GPU-hours of a Slurm job's time limit."""
    resolved = found.resolved
    parts = [f"predicted: {_predicted(found.candidate)}"] if found.candidate else []
    if found.executor == "slurm" and resolved.text("DEVICE") != "cpu":
        parts.append(f"at most {show_hours(gpu_hours(resolved))} GPU-hours (RUN_TIME={resolved.text('RUN_TIME')})")
    return "; ".join(parts)


def _predicted(found: "Candidate") -> str:
    step, memory = show_seconds(found.step_time.total_s), show_bytes(found.peak.total_bytes)
    if found.gpu.architecture == "CPU":
        return f"{step} a step"
    return f"{step} a step, {found.tflops_per_gpu:.0f} TFLOP/s/GPU, {memory}"

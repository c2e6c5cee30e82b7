"""What check, launch, sweep, estimate and resolve say of a configuration: whether it can run, and what it may cost."""

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.arch.parallel import world_size
from harness.cli.machines import known
from harness.config.provenance import Resolved
from harness.cost.hardware import Gpu
from harness.errors import ConfigError
from harness.launch.checkpoint.loaded import checkpoint_notices, checkpoint_problems
from harness.launch.executor import Executor
from harness.launch.job import job_spec
from harness.launch.job_rules import unused_here
from harness.launch.preflight import path_problems
from harness.launch.slurm.time_limit import parse_time_limit_s
from harness.plan.constraints.engine import engine_release
from harness.plan.forecast import Forecast, forecast
from harness.plan.machine import known_machine
from harness.plan.verdict import violations_of
from harness.plan.violation import Violation
from harness.units import show_bytes, show_hours, show_seconds

if TYPE_CHECKING:  # a launch without a known GPU starts faster without the cost model
    from harness.plan.candidate import Candidate


def foresee(resolved: Resolved, *, force: bool) -> Forecast:
    """The forecast; what it would stop for is only noticed if the user forces it. A GPU not known is a problem."""
    try:
        found = forecast(resolved, known(resolved))
    except ConfigError as error:
        return Forecast(problems=error.problems)
    return replace(found, notices=(*found.notices, *found.problems), problems=()) if force else found


def cost(resolved: Resolved, place: Executor, found: "Candidate | None") -> str:
    """What a step is predicted to take where the machine is known, and what a Slurm job's time limit may cost."""
    parts = [f"predicted: {_predicted(found)}"] if found else []
    if place == "slurm" and resolved.text("DEVICE") != "cpu":
        parts.append(f"at most {show_hours(gpu_hours(resolved))} GPU-hours (RUN_TIME={resolved.text('RUN_TIME')})")
    return "; ".join(parts)


def _predicted(found: "Candidate") -> str:
    step, memory = show_seconds(found.step_time.total_s), show_bytes(found.peak.total_bytes)
    if found.gpu.architecture == "CPU":
        return f"{step} a step"
    return f"{step} a step, {found.tflops_per_gpu:.0f} TFLOP/s/GPU, {memory}"


def gpu_hours(resolved: Resolved) -> float:
    """What the time limit may cost."""
    return world_size(resolved) * parse_time_limit_s(resolved.text("RUN_TIME")) / 3600


def problems(resolved: Resolved, place: Executor) -> list[str]:
    """What Megatron or this machine would refuse, all of it. Only Slurm's nodes know the paths of a Slurm job."""
    found = violations(resolved)
    try:
        spec = job_spec(resolved, place)
    except ConfigError as error:
        return [*found, *error.problems]
    found += checkpoint_problems(resolved, spec)
    return [*found, *(path_problems(resolved, spec) if place != "slurm" else ())]


def notices(resolved: Resolved, place: Executor) -> list[str]:
    """What is worth knowing of settings that have no say, and of the checkpoint that the job starts from."""
    try:
        return [*unused_here(resolved, place), *checkpoint_notices(resolved, job_spec(resolved, place))]
    except ConfigError:
        return []  # there is no such job; `problems` says why


def violations(resolved: Resolved) -> list[str]:
    """What Megatron would refuse, each with the place where it was written."""
    found = violations_of(resolved, _gpu(resolved))
    if resolved.embedded:
        found += engine_release(resolved.release)
    return [*(located(violation, resolved) for violation in found), *resolved.blockers]


def _gpu(resolved: Resolved) -> Gpu | None:
    """The GPU if it is known; `foresee` says so if it is not."""
    try:
        return known_machine(resolved)
    except ConfigError:
        return None


def located(violation: Violation, resolved: Resolved) -> str:
    """`runtime.conf:12: EP=48 does not divide …; fix: …`: where the first of its names was written.

    A setting reaches Megatron through a flag, so a flag that the user wrote after `--` comes before its setting.
    """
    origins = [origin for name in violation.names if (origin := resolved.origin(name)) is not None]
    typed = [origin for origin in origins if origin.layer == "extra flags"]
    return f"{(typed or origins)[0]}: {violation}" if origins else str(violation)

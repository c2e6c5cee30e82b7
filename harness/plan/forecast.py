"""What to tell before a job is queued: whether its memory fits the GPU, and what it may cost."""

from typing import TYPE_CHECKING, NamedTuple

from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.plan.verdict import violations_of
from harness.units import show_bytes

if TYPE_CHECKING:  # a launch without a known GPU predicts nothing, and starts faster without the cost model
    from harness.cost.hardware import Gpu
    from harness.plan.candidate import Candidate


class Forecast(NamedTuple):
    """`notices` are worth reading, `problems` worth stopping for. Nothing is said where the GPU is not known."""

    candidate: "Candidate | None" = None
    notices: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def forecast(resolved: Resolved, gpu: "Gpu | None") -> Forecast:
    """The forecast of a job that Megatron would run on this GPU."""
    if gpu is None or violations_of(resolved, gpu):
        return Forecast()
    from harness.plan.predict import candidate_of

    try:
        found = candidate_of(resolved, gpu)
    except ConfigError as error:  # a network that is not modelled
        return Forecast(notices=(f"nothing is predicted: {error}",))
    if gpu.architecture == "CPU":
        return Forecast(candidate=found)  # a laptop's memory is not the ranks' alone
    memory = _memory(found)
    if found.fits is False:
        fix = "recompute more (--recompute-granularity), split more, or see `moe-harness plan`; --force goes on anyway"
        return Forecast(candidate=found, problems=(f"{memory}; {fix}",))
    if found.fits is None:
        return Forecast(candidate=found, notices=(f"{memory}: it may just not fit",))
    return Forecast(candidate=found)


def figures(found: "Candidate") -> dict[str, float]:
    """What a run's record keeps of a prediction."""
    speed = {
        "step_time_s": found.step_time.total_s,
        "tflops_per_gpu": found.tflops_per_gpu,
        "tokens_per_s_per_gpu": found.tokens_per_s_per_gpu,
    }
    memory = {} if found.gpu.architecture == "CPU" else {"peak_memory_bytes": float(found.peak.total_bytes)}
    return {**speed, **memory}


def _memory(found: "Candidate") -> str:
    from harness.cost.memory import ERROR_BAND

    peak, gpu = found.peak, found.gpu
    return (
        f"predicted memory: {show_bytes(peak.total_bytes)} on pipeline rank {peak.rank}, and {gpu.name} has"
        f" {show_bytes(gpu.hbm_bytes)} (± {ERROR_BAND:.0%})"
    )

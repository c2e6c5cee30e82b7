"""Time at the ends of a step: gradients are reduced, the optimizer steps, weights are gathered."""

from functools import lru_cache

from harness.arch.model import ModelArch
from harness.arch.parallel import Parallel
from harness.arch.shards import RankParameters, rank_parameters
from harness.arch.stages import Pipeline
from harness.cost.comm import Group, gather_s
from harness.cost.rates import Rates
from harness.cost.training import Training

ALWAYS_EXPOSED = 0.1
"""Share of overlapped communication that nothing hides: its first and last buckets."""
HOST_LINK_BYTES_PER_S = 25e9
"""One way between GPU and host memory while both directions are busy: PCIe 5 with 16 lanes."""


@lru_cache(maxsize=4096)
def fullest_rank(arch: ModelArch, pipeline: Pipeline, mapping: Parallel) -> RankParameters:
    """Parameters of the pipeline rank that holds most."""
    return max((rank_parameters(arch, stages, mapping) for stages in pipeline), key=lambda held: held.total)


def communication_s(job: Training, held: RankParameters, microbatch_s: float, speed: Rates) -> float:
    """Reduce-scatter of gradients and all-gather of weights, as far as one micro-batch does not hide them."""
    par = job.parallel
    groups = (
        (held.dense, Group(size=par.dp * par.cp, stride=par.tp)),
        (held.expert, Group(size=par.edp, stride=par.etp * par.ep)),
    )
    weight_bytes = 1 if job.optimizer.fp8_weights else 2
    reduce_s = sum(gather_s(count * job.optimizer.grad_bytes, group, speed) for count, group in groups)
    gathered_s = sum(gather_s(count * weight_bytes, group, speed) for count, group in groups)
    return _exposed(reduce_s, microbatch_s * 2 / 3, overlapped=job.overlap.grad_reduce) + _exposed(
        gathered_s, microbatch_s / 3, overlapped=job.overlap.param_gather
    )


def _exposed(comm_s: float, window_s: float, *, overlapped: bool) -> float:
    return max(comm_s * ALWAYS_EXPOSED, comm_s - window_s) if overlapped else comm_s


def optimizer_s(job: Training, held: RankParameters, speed: Rates) -> float:
    """Gradients are cleared, normed and read; Adam reads and writes its states; weights are written in their format.

    States in host memory: gradients go there and weights come back.
    """
    par, state = job.parallel, job.optimizer
    replicas, expert_replicas = (par.dp * par.cp, par.edp) if state.distributed else (1, 1)
    own = held.dense / replicas + held.expert / expert_replicas
    states_bytes = state.main_weight_bytes + state.exp_avg_bytes + state.exp_avg_sq_bytes
    moved_bytes = own * (1 - state.offloaded) * (2 * state.main_grad_bytes + 2 * states_bytes + 2)
    cleared_bytes = held.total * state.grad_bytes
    on_host_s = own * state.offloaded * (state.main_grad_bytes + 2) / HOST_LINK_BYTES_PER_S
    return (moved_bytes + cleared_bytes) / speed.hbm_bytes_per_s + on_host_s

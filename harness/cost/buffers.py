"""Memory of a process beside its tensors, and buffers of the libraries that move tokens."""

from functools import lru_cache

from harness.arch.model import ModelArch
from harness.arch.stages import Stage
from harness.arch.weights import Sharding, Weights
from harness.cost.training import Training
from harness.units import GIB, MIB

CONTEXT_BYTES = 600 * MIB
"""A CUDA context with the kernels that Transformer Engine, cuBLAS and cuDNN load."""
WORKSPACE_BYTES = 64 * MIB
"""cuBLAS workspaces of Hopper and later: 32 MiB, one for Transformer Engine and one for torch, in torch's allocator."""
CHANNEL_BYTES = 4 * MIB
"""NCCL_BUFFSIZE, the buffer of one channel."""
CHANNELS = 16
"""Channels that NCCL opens for a communicator inside a node, and at most this many between nodes."""
FRAGMENTATION = 0.04
"""Share of allocated memory that torch's allocator cannot use for holes: assumed. A Moonlight run had reserved 9% more
than it had allocated, but the allocator returns whole free blocks when memory runs out."""


def communicators(job: Training) -> int:
    """Groups of more than one rank that a rank speaks in: the dense grid, and the experts' grid."""
    mapping = job.parallel
    sizes = (mapping.tp, mapping.cp, mapping.pp, mapping.dp, mapping.ep, mapping.etp, mapping.edp)
    return sum(size > 1 for size in sizes)


def nccl_bytes(job: Training) -> int:
    """Buffers that NCCL allocates outside of torch."""
    return communicators(job) * CHANNELS * CHANNEL_BYTES


def dispatcher_bytes(job: Training) -> int:
    """Buffers outside of torch: DeepEP's 1 GiB inside a node, and HybridEP's place for all tokens that could arrive.

    Sources: `get_buffer` and `init_hybrid_ep_buffer` of megatron/core/transformer/moe/fused_a2a.py.
    """
    if job.dispatcher == "deepep":
        return GIB
    if job.dispatcher == "hybridep":
        return job.parallel.ep * job.tokens_per_rank // job.parallel.tp * job.arch.hidden * 2
    return 0


@lru_cache(maxsize=1 << 14)
def dummy_gradient_bytes(arch: ModelArch, stages: tuple[Stage, ...], tp: int, etp: int) -> int:
    """One bf16 tensor of each shape that a linear layer's weight has on the rank.

    Weight gradients go straight to the gradient buffer, and autograd gets these in their place: `get_dummy_wgrad` of
    Transformer Engine's module/base.py, which Megatron's tensor_parallel/layers.py uses for the output layer too.
    """
    kinds = {arch.layers[index] for stage in stages for index in stage.layers}
    weights = [weight for kind in kinds for weight in kind.weights(arch.hidden, arch.norm)]
    if any(stage.mtp_layers for stage in stages):
        weights += arch.mtp_weights()
    if any(stage.loss for stage in stages):
        weights.append(arch.output_layer)
    shapes = {_shape(weight, tp, etp) for weight in weights if weight.inputs > 1 and weight.name != "router"}
    return 2 * sum(outputs * inputs for outputs, inputs in shapes)


def _shape(weight: Weights, tp: int, etp: int) -> tuple[int, int]:
    """(outputs, inputs) of a rank's part of one copy."""
    ways = etp if weight.expert else tp
    if weight.sharding is Sharding.OUTPUTS:
        return weight.outputs // ways, weight.inputs
    return weight.outputs, weight.inputs // ways if weight.sharding is Sharding.INPUTS else weight.inputs

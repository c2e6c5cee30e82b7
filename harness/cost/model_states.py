"""Weights, gradients and optimizer states of a rank.

Sources: megatron/core/distributed/param_and_grad_buffer.py (one contiguous buffer of weights and one of gradients),
optimizer/distrib_optimizer.py (main weights and moments, sharded over the replicas of a parameter: DP·CP for the dense
ones, EDP for routed experts) and optimizer/optimizer.py (without sharding), of Megatron-Core 0.19.
"""

from typing import NamedTuple

from harness.arch.precision import Precision
from harness.arch.shards import RankParameters
from harness.cost.training import Optimizer, Training

FP8_SCALES = {Precision.FP8_BLOCKWISE: 2 * 4 / 128**2, Precision.MXFP8: 2 / 32}
"""Bytes of scales beside a weight in both layouts: one fp32 for 128 × 128 values, one byte for 32 values."""


class ModelStates(NamedTuple):
    """Bytes on a rank."""

    weights: int
    grads: int
    main_weights: int
    moments: int


def model_states(job: Training, held: RankParameters) -> ModelStates:
    """The states of the parameters that a rank holds."""
    optimizer, sharded = job.optimizer, sharded_parameters(job, held)
    on_gpu = 1 - optimizer.offloaded
    return ModelStates(
        weights=round(held.total * weight_bytes(job.precision, optimizer)),
        grads=held.total * optimizer.grad_bytes,
        main_weights=round(sharded * optimizer.main_weight_bytes * on_gpu),
        moments=round(sharded * (optimizer.exp_avg_bytes + optimizer.exp_avg_sq_bytes) * on_gpu),
    )


def sharded_parameters(job: Training, held: RankParameters) -> int:
    """Parameters whose main weights and moments a rank keeps: a share of each, or all without sharding."""
    if not job.optimizer.distributed:
        return held.total
    mapping = job.parallel
    return -(-held.dense // (mapping.dp * mapping.cp)) - (-held.expert // mapping.edp)


def weight_bytes(precision: Precision, optimizer: Optimizer) -> float:
    """Bytes of one weight on the GPU.

    GEMMs of the forward and the backward pass want an fp8 weight in two layouts (Transformer Engine's row-wise and
    column-wise data; a transpose in Hopper's per-tensor recipes). With fp8 weights both are the weight itself; else
    they are a copy that Transformer Engine keeps beside the bf16 weight through all micro-batches of a step.
    """
    if not precision.quantised:
        return precision.element_bytes
    quantised = 2 * 0.5625 if precision is Precision.NVFP4 else 2 + FP8_SCALES.get(precision, 0)
    return quantised if optimizer.fp8_weights else 2 + quantised

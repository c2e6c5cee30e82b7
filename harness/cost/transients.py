"""What lives only for a moment: while the loss is computed, while one layer is, while the optimizer steps."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from harness.arch.model import LayerSpec, ModelArch
from harness.arch.moe import Dense
from harness.arch.shards import RankParameters
from harness.cost.microbatch_shard import MicrobatchShard
from harness.cost.model_states import sharded_parameters
from harness.cost.training import Training

type CrossEntropy = Literal["unfused", "native", "te"]

LOGIT_BYTES: Mapping[CrossEntropy, int] = MappingProxyType({"unfused": 6, "native": 10, "te": 2})
"""Bytes of a logit while its loss is computed.

Unfused (megatron/core/tensor_parallel/cross_entropy.py): a bf16 logit and its fp32 copy, in which probability and
gradient are computed in place. Native (fused_cross_entropy.py): the same, and the fp32 tensor that compiled kernels
write beside it rather than in place. Transformer Engine: the gradient takes the place of the bf16 logit.
"""
SAVED_LOGIT_BYTES: Mapping[CrossEntropy, int] = MappingProxyType({"unfused": 4, "native": 4, "te": 2})
"""Bytes of what waits for the backward pass, of each MTP module while the main loss is computed."""


def cross_entropy(job: Training) -> CrossEntropy:
    """Which loss is computed."""
    if not job.fused_cross_entropy:
        return "unfused"
    return "te" if job.te_cross_entropy else "native"


def loss_bytes(arch: ModelArch, shard: MicrobatchShard, *, kind: CrossEntropy, mtp_layers: int) -> int:
    """Logits [t, padded vocabulary / TP] while the loss of the last of 1 + `mtp_layers` tables is computed."""
    logits = shard.tokens * arch.padded_vocab_size // shard.tp
    return logits * (LOGIT_BYTES[kind] + SAVED_LOGIT_BYTES[kind] * mtp_layers)


@lru_cache(maxsize=1 << 14)
def layer_backward_bytes(layer: LayerSpec, hidden: int, shard: MicrobatchShard) -> int:
    """Gradients that stand at once in the backward pass of a layer's feed-forward half.

    Of the routed experts: the output's before and after the all-to-all, then the activation's output and input.
    """
    ffn = layer.ffn
    if isinstance(ffn, Dense):
        width, tokens = ffn.matrices * ffn.ffn_hidden / shard.tp, float(shard.tokens)
    else:
        width, tokens = ffn.expert.matrices * ffn.ffn_hidden / shard.etp, shard.expert_tokens(ffn.top_k)
    return round(tokens * shard.element * (2 * hidden + width))


def optimizer_step_bytes(job: Training, held: RankParameters) -> int:
    """The fp32 gradients that Adam wants of its shard, where they were reduced in 16 bits.

    `_copy_model_grads_to_main_grads` of distrib_optimizer.py; fp32 gradients are used where they lie, and with the
    precision-aware optimizer gradients of any type are.
    """
    optimizer = job.optimizer
    if optimizer.grad_bytes == 4 or optimizer.precision_aware:
        return 0
    return round(4 * sharded_parameters(job, held) * (1 - optimizer.offloaded))

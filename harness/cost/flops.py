"""Floating-point operations of a training step, in Megatron's own convention.

Equal to `num_floating_point_operations` of Megatron-Core 0.19, so that a TFLOP/s computed from it equals the one in the
log. A multiply-add is two operations, done once forward and twice backward; attention scores count over half the
square of the sequence (causal mask); logits count over the padded vocabulary, once more for each MTP module; router,
gates and layer norms are left out, but MLA's and MTP's norms count as one vector each.
"""

from harness.arch.attention import GQA, Attention
from harness.arch.model import LayerSpec, ModelArch
from harness.arch.moe import Dense, FeedForward

TRAINING_FLOPS_PER_MAC = 6  # 2 for the multiply-add, times (forward + gradient of the inputs + gradient of the weights)


def megatron_flops_per_step(arch: ModelArch, *, sequences: int, seq_len: int) -> int:
    """Operations of one step over `sequences` sequences (the global batch) of `seq_len` tokens, on all GPUs."""
    layers = (*arch.layers, *(arch.mtp_layer,) * arch.mtp_layers)
    macs_per_token = sum(_layer_macs(layer, arch.hidden) for layer in layers) + _mtp_macs(arch) + _logit_macs(arch)
    # A causal mask leaves half of the seq_len² scores; written as 6/2 to stay a whole number.
    flops_per_score = TRAINING_FLOPS_PER_MAC // 2 * sum(_core_width(layer.attention) for layer in layers)
    return sequences * seq_len * (TRAINING_FLOPS_PER_MAC * macs_per_token + seq_len * flops_per_score)


def megatron_flops_per_token(arch: ModelArch, *, seq_len: int) -> float:
    """Operations of training on one token of a sequence of `seq_len`."""
    return megatron_flops_per_step(arch, sequences=1, seq_len=seq_len) / seq_len


def _layer_macs(layer: LayerSpec, hidden: int) -> int:
    """Multiply-adds of a layer's projections for one token, forward only."""
    return _projection_macs(layer.attention, hidden) + _ffn_macs(layer.ffn, hidden)


def _projection_macs(attention: Attention, hidden: int) -> int:
    if isinstance(attention, GQA):
        query, key_value = attention.heads * attention.head_dim, 2 * attention.kv_heads * attention.head_dim
        return hidden * (query + key_value) + query * hidden
    query = attention.heads * attention.qk_dim
    rank = attention.q_rank
    to_query = hidden * query if rank is None else rank * (hidden + query + 1)
    to_key_value = attention.kv_rank * (hidden + attention.heads * (attention.nope_dim + attention.v_dim) + 1)
    return to_query + to_key_value + hidden * attention.rope_dim + attention.heads * attention.v_dim * hidden


def _core_width(attention: Attention) -> int:
    """Multiply-adds of one query-key pair: the score, and the value weighted by it."""
    return attention.heads * (attention.qk_dim + attention.v_dim)


def _ffn_macs(ffn: FeedForward, hidden: int) -> int:
    if isinstance(ffn, Dense):
        return hidden * ffn.ffn_hidden * ffn.matrices
    return _ffn_macs(ffn.expert, hidden) * ffn.top_k + _ffn_macs(ffn.shared, hidden)


def _mtp_macs(arch: ModelArch) -> int:
    """Norms and eh_proj (H, 2H) of the MTP modules; their layers count as layers."""
    return arch.mtp_layers * (3 * arch.hidden + 2 * arch.hidden * arch.hidden)


def _logit_macs(arch: ModelArch) -> int:
    return arch.hidden * arch.padded_vocab_size * (1 + arch.mtp_layers)

"""Bytes that one micro-batch leaves on a rank for the backward pass, by module.

Legend: t tokens of the micro-batch that attention sees on a rank (micro-batch · sequence / CP), o tokens between the
tensor-parallel regions (t/TP with sequence parallelism, else t), e token copies that the rank's experts get.

Inside the modules of Megatron-Core 0.19 a linear layer saves its input, in fp8 or fp4 if it computes so, and under
sequence parallelism the rank's part of it; a norm saves its input and one fp32 a row; attention saves queries, keys,
values, output and one fp32 a row and head; SwiGLU saves its input; a permutation saves indices. What differs between
Transformer Engine and torch stands in implementation.py. A tensor that two modules save is one, under the first.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from harness.arch.attention import GQA, MLA, Attention
from harness.arch.model import LayerSpec, ModelArch
from harness.arch.moe import Dense, FeedForward, MoE
from harness.arch.precision import Precision
from harness.cost.microbatch_shard import MicrobatchShard

type Saved = Mapping[str, int]


@lru_cache(maxsize=1 << 14)
def layer_activations(layer: LayerSpec, hidden: int, shard: MicrobatchShard) -> Saved:
    """Bytes by module of one transformer layer."""
    parts = {**_attention(layer.attention, hidden, shard), **_feed_forward(layer.ffn, hidden, shard)}
    return MappingProxyType({name: round(size) for name, size in parts.items() if size})


def mtp_activations(arch: ModelArch, shard: MicrobatchShard) -> int:
    """Bytes of one MTP module beside its layer: inputs of enorm, hnorm, eh_proj (2H) and the final norm."""
    return round(shard.own_tokens * (3 * shard.norm(arch.hidden) + 2 * arch.hidden * shard.saved_input))


def ends_activations(arch: ModelArch, shard: MicrobatchShard) -> int:
    """Bytes that final norm and output layer (which computes in 16 bits) save."""
    return round(shard.own_tokens * (shard.norm(arch.hidden) + arch.hidden * shard.element))


def boundary_bytes(arch: ModelArch, shard: MicrobatchShard) -> int:
    """The hidden states [o, H] that stand between two layers: all that a fully recomputed layer keeps."""
    return shard.own_tokens * arch.hidden * shard.element


def _attention(attention: Attention, hidden: int, shard: MicrobatchShard) -> dict[str, float]:
    return _gqa(attention, hidden, shard) if isinstance(attention, GQA) else _mla(attention, hidden, shard)


def _gqa(attention: GQA, hidden: int, shard: MicrobatchShard) -> dict[str, float]:
    t, x, d = shard.tokens / shard.tp, shard.element, attention.head_dim
    query, key_value = attention.heads * d, 2 * attention.kv_heads * d
    # Unfused, values stay a view of linear_qkv's output, and keep it whole.
    values = key_value / 2 if shard.implementation.fused_rope else query + key_value
    fused = shard.implementation.fused_norms
    parts = {
        "input_layernorm": _offloadable(shard, "attn_norm", shard.own_tokens * shard.norm(hidden)),
        "linear_qkv": _offloadable(shard, "qkv_linear", _normed(shard, hidden, fused=fused)),
        "rope": _rope(shard, d),
        "core_attn": _core_attention(shard, (query + key_value / 2 + values) * x, query * x, attention.heads),
    }
    if attention.qk_norm:  # both norms' inputs are views of linear_qkv's output, and keep it whole
        parts["qk_layernorm"] = t * (query + key_value) * x
    return parts


def _mla(attention: MLA, hidden: int, shard: MicrobatchShard) -> dict[str, float]:
    """Transformer Engine's norms of the compressed vectors are part of the projections up."""
    o, saved, fused = shard.own_tokens, shard.saved_input, shard.implementation.fused_norms
    ranks = [rank for rank in (attention.q_rank, attention.kv_rank) if rank]
    down_inputs = 1 if saved == shard.element else 2  # in fp8 query and key/value keep a copy each
    recomputed = "mla_up_proj" in shard.recomputed
    compressed = sum(map(shard.norm, ranks)) + (attention.rope_dim * shard.element if fused else 0)
    return {
        "input_layernorm": _offloadable(shard, "attn_norm", o * shard.norm(hidden)),
        "linear_qkv": _offloadable(shard, "qkv_linear", _normed(shard, hidden, fused=False) * down_inputs),
        "qk_layernorm": o * compressed if attention.qk_norm else 0,
        "linear_qkv_up": 0 if recomputed else o * sum(ranks) * saved,
        "rope": _rope(shard, attention.rope_dim),
        "core_attn": _latent_core(attention, shard, recomputed=recomputed),
    }


def _normed(shard: MicrobatchShard, hidden: int, *, fused: bool) -> float:
    """A linear layer's saved input where it is a norm's output, which `layernorm` recomputes unless it is fused."""
    return 0 if "layernorm" in shard.recomputed and not fused else shard.own_tokens * hidden * shard.saved_input


def _rope(shard: MicrobatchShard, width: int) -> float:
    """Sines and cosines [s, width] of queries and of keys."""
    return 0 if shard.implementation.fused_rope else 4 * shard.rows * width * shard.element


def _latent_core(attention: MLA, shard: MicrobatchShard, *, recomputed: bool) -> float:
    """The core attention of MLA. Without fused attention fp32 copies of its inputs, and the scores."""
    heads, output = attention.heads, attention.heads * attention.v_dim * shard.element
    width = heads * (2 * attention.qk_dim + attention.v_dim)
    if shard.implementation.fused_attention or "core_attn" in shard.recomputed:
        return _core_attention(shard, 0 if recomputed else width * shard.element, output, heads)
    return shard.tokens / shard.tp * (4 * (width + heads * shard.rows) + output)


def _core_attention(shard: MicrobatchShard, inputs: float, output: float, heads: int) -> float:
    """Inputs and output of a token, and softmax statistics; the output is also linear_proj's input.

    Recomputing a fused attention frees the statistics alone. A recipe with delayed scaling keeps an fp8 copy for
    linear_proj beside (the others: `set_save_original_input`).
    """
    statistics = 0 if "core_attn" in shard.recomputed else 4 * heads
    copy = output / shard.element if shard.precision is Precision.FP8_DELAYED else 0
    waiting = inputs if "core_attn" in shard.offloaded else 0
    kept = 0 if "attn_proj" in shard.offloaded else output
    return shard.tokens / shard.tp * (inputs - waiting + kept + copy + statistics)


def _feed_forward(ffn: FeedForward, hidden: int, shard: MicrobatchShard) -> dict[str, float]:
    norm = {"pre_mlp_layernorm": _offloadable(shard, "mlp_norm", shard.own_tokens * shard.norm(hidden))}
    return norm | (_dense(ffn, hidden, shard) if isinstance(ffn, Dense) else _moe(ffn, hidden, shard))


def _dense(ffn: Dense, hidden: int, shard: MicrobatchShard) -> dict[str, float]:
    """Recomputed, a fused norm's MLP keeps the residual that the norm saves anyhow."""
    fused = shard.implementation.fused_norms
    if "mlp" in shard.recomputed:
        return {"mlp": 0 if fused else shard.own_tokens * hidden * shard.element}
    inner = _activation(ffn, shard) + shard.saved_input
    return {"mlp": _normed(shard, hidden, fused=fused) + shard.tokens / shard.tp * ffn.ffn_hidden * inner}


def _moe(ffn: MoE, hidden: int, shard: MicrobatchShard) -> dict[str, float]:
    """Router and shared expert share their input; the router's probabilities go with the tokens to the experts."""
    o, x = shard.own_tokens, shard.element
    if "moe" in shard.recomputed:
        return {"router": o * hidden * x}
    routed, inner = shard.expert_tokens(ffn.top_k), ffn.ffn_hidden / shard.etp
    shared = "shared_experts" not in shard.recomputed
    normed = 0 if "layernorm" in shard.recomputed else o * hidden * x
    activation = routed * inner * _activation(ffn.expert, shard)
    return {
        "router": normed + o * _router_bytes(ffn),
        "expert_fc1": _offloadable(shard, "expert_fc1", routed * hidden * shard.saved_input),
        "moe_act": _offloadable(shard, "moe_act", activation + 4 * routed),
        "expert_fc2": 0 if "moe_act" in shard.recomputed else routed * inner * shard.saved_input,
        "shared_experts": shared
        * (shard.tokens / shard.tp)
        * ffn.shared_ffn_hidden
        * (_activation(ffn.shared, shard) + shard.saved_input),
    }


def _activation(ffn: Dense, shard: MicrobatchShard) -> float:
    """Bytes of one element of the inner size that the activation saves."""
    return (ffn.matrices - 1 + shard.implementation.activation_copies) * shard.element


def _router_bytes(ffn: MoE) -> int:
    """Bytes a token: two fp32 tables over all experts, and of the chosen ones probabilities and indices.

    Counted in Megatron's unfused router and permutation, which differ little from the fused ones. Scores by sigmoid,
    which an expert bias goes with, are saved for all experts too.
    """
    return (12 if ffn.expert_bias else 8) * ffn.experts + 20 * ffn.top_k


def _offloadable(shard: MicrobatchShard, module: str, size: float) -> float:
    """Nothing stays of what waits in host memory."""
    return 0.0 if module in shard.offloaded else size

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
from harness.cost.cut import Cut

type Saved = Mapping[str, int]


@lru_cache(maxsize=1 << 14)
def layer_activations(layer: LayerSpec, hidden: int, cut: Cut) -> Saved:
    """Bytes by module of one transformer layer."""
    parts = {**_attention(layer.attention, hidden, cut), **_feed_forward(layer.ffn, hidden, cut)}
    return MappingProxyType({name: round(size) for name, size in parts.items() if size})


def mtp_activations(arch: ModelArch, cut: Cut) -> int:
    """Bytes of one MTP module beside its layer: inputs of enorm, hnorm, eh_proj (2H) and the final norm."""
    return round(cut.own_tokens * (3 * cut.norm(arch.hidden) + 2 * arch.hidden * cut.saved_input))


def ends_activations(arch: ModelArch, cut: Cut) -> int:
    """Bytes that final norm and output layer (which computes in 16 bits) save."""
    return round(cut.own_tokens * (cut.norm(arch.hidden) + arch.hidden * cut.element))


def boundary_bytes(arch: ModelArch, cut: Cut) -> int:
    """The hidden states [o, H] that stand between two layers: all that a fully recomputed layer keeps."""
    return cut.own_tokens * arch.hidden * cut.element


def _attention(attention: Attention, hidden: int, cut: Cut) -> dict[str, float]:
    return _gqa(attention, hidden, cut) if isinstance(attention, GQA) else _mla(attention, hidden, cut)


def _gqa(attention: GQA, hidden: int, cut: Cut) -> dict[str, float]:
    t, x, d = cut.tokens / cut.tp, cut.element, attention.head_dim
    query, key_value = attention.heads * d, 2 * attention.kv_heads * d
    # Unfused, values stay a view of linear_qkv's output, and keep it whole.
    values = key_value / 2 if cut.implementation.fused_rope else query + key_value
    fused = cut.implementation.fused_norms
    parts = {
        "input_layernorm": _offloadable(cut, "attn_norm", cut.own_tokens * cut.norm(hidden)),
        "linear_qkv": _offloadable(cut, "qkv_linear", _normed(cut, hidden, fused=fused)),
        "rope": _rope(cut, d),
        "core_attn": _core_attention(cut, (query + key_value / 2 + values) * x, query * x, attention.heads),
    }
    if attention.qk_norm:  # both norms' inputs are views of linear_qkv's output, and keep it whole
        parts["qk_layernorm"] = t * (query + key_value) * x
    return parts


def _mla(attention: MLA, hidden: int, cut: Cut) -> dict[str, float]:
    """Transformer Engine's norms of the compressed vectors are part of the projections up."""
    o, saved, fused = cut.own_tokens, cut.saved_input, cut.implementation.fused_norms
    ranks = [rank for rank in (attention.q_rank, attention.kv_rank) if rank]
    down_inputs = 1 if saved == cut.element else 2  # in fp8 query and key/value keep a copy each
    recomputed = "mla_up_proj" in cut.recomputed
    compressed = sum(map(cut.norm, ranks)) + (attention.rope_dim * cut.element if fused else 0)
    return {
        "input_layernorm": _offloadable(cut, "attn_norm", o * cut.norm(hidden)),
        "linear_qkv": _offloadable(cut, "qkv_linear", _normed(cut, hidden, fused=False) * down_inputs),
        "qk_layernorm": o * compressed if attention.qk_norm else 0,
        "linear_qkv_up": 0 if recomputed else o * sum(ranks) * saved,
        "rope": _rope(cut, attention.rope_dim),
        "core_attn": _latent_core(attention, cut, recomputed=recomputed),
    }


def _normed(cut: Cut, hidden: int, *, fused: bool) -> float:
    """A linear layer's saved input where it is a norm's output, which `layernorm` recomputes unless it is fused."""
    return 0 if "layernorm" in cut.recomputed and not fused else cut.own_tokens * hidden * cut.saved_input


def _rope(cut: Cut, width: int) -> float:
    """Sines and cosines [s, width] of queries and of keys."""
    return 0 if cut.implementation.fused_rope else 4 * cut.rows * width * cut.element


def _latent_core(attention: MLA, cut: Cut, *, recomputed: bool) -> float:
    """The core attention of MLA. Without fused attention fp32 copies of its inputs, and the scores."""
    heads, output = attention.heads, attention.heads * attention.v_dim * cut.element
    width = heads * (2 * attention.qk_dim + attention.v_dim)
    if cut.implementation.fused_attention or "core_attn" in cut.recomputed:
        return _core_attention(cut, 0 if recomputed else width * cut.element, output, heads)
    return cut.tokens / cut.tp * (4 * (width + heads * cut.rows) + output)


def _core_attention(cut: Cut, inputs: float, output: float, heads: int) -> float:
    """Inputs and output of a token, and softmax statistics; the output is also linear_proj's input.

    Recomputing a fused attention frees the statistics alone. A recipe with delayed scaling keeps an fp8 copy for
    linear_proj beside (the others: `set_save_original_input`).
    """
    statistics = 0 if "core_attn" in cut.recomputed else 4 * heads
    copy = output / cut.element if cut.precision is Precision.FP8_DELAYED else 0
    waiting = inputs if "core_attn" in cut.offloaded else 0
    kept = 0 if "attn_proj" in cut.offloaded else output
    return cut.tokens / cut.tp * (inputs - waiting + kept + copy + statistics)


def _feed_forward(ffn: FeedForward, hidden: int, cut: Cut) -> dict[str, float]:
    norm = {"pre_mlp_layernorm": _offloadable(cut, "mlp_norm", cut.own_tokens * cut.norm(hidden))}
    return norm | (_dense(ffn, hidden, cut) if isinstance(ffn, Dense) else _moe(ffn, hidden, cut))


def _dense(ffn: Dense, hidden: int, cut: Cut) -> dict[str, float]:
    """Recomputed, a fused norm's MLP keeps the residual that the norm saves anyhow."""
    fused = cut.implementation.fused_norms
    if "mlp" in cut.recomputed:
        return {"mlp": 0 if fused else cut.own_tokens * hidden * cut.element}
    inner = _activation(ffn, cut) + cut.saved_input
    return {"mlp": _normed(cut, hidden, fused=fused) + cut.tokens / cut.tp * ffn.ffn_hidden * inner}


def _moe(ffn: MoE, hidden: int, cut: Cut) -> dict[str, float]:
    """Router and shared expert share their input; the router's probabilities go with the tokens to the experts."""
    o, x = cut.own_tokens, cut.element
    if "moe" in cut.recomputed:
        return {"router": o * hidden * x}
    routed, inner = cut.expert_tokens(ffn.top_k), ffn.ffn_hidden / cut.etp
    shared = "shared_experts" not in cut.recomputed
    normed = 0 if "layernorm" in cut.recomputed else o * hidden * x
    activation = routed * inner * _activation(ffn.expert, cut)
    return {
        "router": normed + o * _router_bytes(ffn),
        "expert_fc1": _offloadable(cut, "expert_fc1", routed * hidden * cut.saved_input),
        "moe_act": _offloadable(cut, "moe_act", activation + 4 * routed),
        "expert_fc2": 0 if "moe_act" in cut.recomputed else routed * inner * cut.saved_input,
        "shared_experts": shared
        * (cut.tokens / cut.tp)
        * ffn.shared_ffn_hidden
        * (_activation(ffn.shared, cut) + cut.saved_input),
    }


def _activation(ffn: Dense, cut: Cut) -> float:
    """Bytes of one element of the inner size that the activation saves."""
    return (ffn.matrices - 1 + cut.implementation.activation_copies) * cut.element


def _router_bytes(ffn: MoE) -> int:
    """Bytes a token: two fp32 tables over all experts, and of the chosen ones probabilities and indices.

    Counted in Megatron's unfused router and permutation, which differ little from the fused ones. Scores by sigmoid,
    which an expert bias goes with, are saved for all experts too.
    """
    return (12 if ffn.expert_bias else 8) * ffn.experts + 20 * ffn.top_k


def _offloadable(cut: Cut, module: str, size: float) -> float:
    """Nothing stays of what waits in host memory."""
    return 0.0 if module in cut.offloaded else size

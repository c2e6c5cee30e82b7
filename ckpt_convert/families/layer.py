"""One decoder layer: Megatron's names on the left, Hugging Face's on the right, shapes of both.

Legend: H hidden size, h heads, g query groups, d head size; MLA's ranks rq and rkv and per-head sizes n (no position),
r (rotary) and v (value); F and f inner sizes of a dense MLP and of one expert, E experts. Rotary dimensions need no
permutation: both sides lay them out alike.
"""

from ckpt_convert.families.names import DENSE, GatedNames, MoENames
from ckpt_convert.families.tensor_rule import TensorRule, TensorRules, concatenate, copy, interleave, norm, stack, under
from harness.arch.attention import GQA, MLA
from harness.arch.model import LayerSpec
from harness.arch.moe import MoE


def layer_rules(layer: LayerSpec, hidden: int, names: MoENames) -> TensorRules:
    """All tensors of a layer; keys are relative to `decoder.layers.i.`, names to `model.layers.i.`."""
    mixing, ffn = layer.attention, layer.ffn
    is_latent, is_moe = isinstance(mixing, MLA), isinstance(ffn, MoE)
    return (
        _attention_norm(hidden, is_latent=is_latent),
        *(_latent_attention(mixing, hidden) if isinstance(mixing, MLA) else _grouped_attention(mixing, hidden)),
        _feed_forward_norm(hidden, is_latent=is_latent, is_moe=is_moe),
        *(_mixture(ffn, hidden, names) if isinstance(ffn, MoE) else _gated("mlp", DENSE, ffn.ffn_hidden, hidden)),
    )


def _attention_norm(hidden: int, *, is_latent: bool) -> TensorRule:
    """With GQA it is fused to the projection that follows, or at least saved as if it were."""
    if is_latent:
        return norm("input_layernorm.weight", "input_layernorm.weight", hidden)
    return norm("self_attention.linear_qkv.layer_norm_weight", "input_layernorm.weight", hidden)


def _feed_forward_norm(hidden: int, *, is_latent: bool, is_moe: bool) -> TensorRule:
    """Transformer Engine fuses it to a dense MLP, the local spec saves it as fused wherever the attention is GQA."""
    apart, fused = "pre_mlp_layernorm.weight", "mlp.linear_fc1.layer_norm_weight"
    key, local = apart if is_moe else fused, apart if is_latent else fused
    return norm(key, "post_attention_layernorm.weight", hidden, local=local)


def _latent_attention(mla: MLA, hidden: int) -> TensorRules:
    """Multi-head latent attention."""
    heads, up = mla.heads, "self_attention.linear_kv_up_proj"
    down_rows, up_rows = mla.kv_rank + mla.rope_dim, heads * (mla.nope_dim + mla.v_dim)
    return (
        *_latent_query(mla, hidden),
        copy("self_attention.linear_kv_down_proj.weight", "self_attn.kv_a_proj_with_mqa.weight", down_rows, hidden),
        _latent_norm(up, "self_attention.kv_layernorm.weight", "self_attn.kv_a_layernorm.weight", mla.kv_rank),
        copy(f"{up}.weight", "self_attn.kv_b_proj.weight", up_rows, mla.kv_rank),
        copy("self_attention.linear_proj.weight", "self_attn.o_proj.weight", hidden, heads * mla.v_dim),
    )


def _latent_query(mla: MLA, hidden: int) -> TensorRules:
    """Queries are projected in one step, or down to rank rq and up to the heads."""
    width, up = mla.heads * mla.qk_dim, "self_attention.linear_q_up_proj"
    if mla.q_rank is None:
        return (copy("self_attention.linear_q_proj.weight", "self_attn.q_proj.weight", width, hidden),)
    return (
        copy("self_attention.linear_q_down_proj.weight", "self_attn.q_a_proj.weight", mla.q_rank, hidden),
        _latent_norm(up, "self_attention.q_layernorm.weight", "self_attn.q_a_layernorm.weight", mla.q_rank),
        copy(f"{up}.weight", "self_attn.q_b_proj.weight", width, mla.q_rank),
    )


def _latent_norm(projection: str, apart: str, name: str, rank: int) -> TensorRule:
    """The norm of a compressed vector, which Transformer Engine fuses to the projection that follows."""
    return norm(f"{projection}.layer_norm_weight", name, rank, local=apart)


def _grouped_attention(gqa: GQA, hidden: int) -> TensorRules:
    """Grouped-query attention: of each group first the queries (h/g heads), then its key, then its value."""
    rows = (gqa.heads // gqa.kv_heads * gqa.head_dim, gqa.head_dim, gqa.head_dim)
    projections = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    weights, biases = (tuple(f"{name}.{kind}" for name in projections) for kind in ("weight", "bias"))
    fused = "self_attention.linear_qkv"
    return (
        interleave(f"{fused}.weight", weights, rows, gqa.kv_heads, hidden),
        *((interleave(f"{fused}.bias", biases, rows, gqa.kv_heads),) if gqa.qkv_bias else ()),
        copy("self_attention.linear_proj.weight", "self_attn.o_proj.weight", hidden, gqa.heads * gqa.head_dim),
    )


def _gated(key: str, names: GatedNames, inner: int, hidden: int) -> TensorRules:
    """linear_fc1 (2·inner, H): gate over up; linear_fc2 (H, inner)."""
    return (
        concatenate(f"{key}.linear_fc1.weight", (names.gate, names.up), inner, hidden),
        copy(f"{key}.linear_fc2.weight", names.down, hidden, inner),
    )


def _mixture(moe: MoE, hidden: int, names: MoENames) -> TensorRules:
    """Router (E, H) and its bias (E), experts (E, 2f, H) and (E, H, f), the shared expert and its gate (1, H)."""
    experts = [_gated("mlp.experts.experts", names.expert.of(e), moe.ffn_hidden, hidden) for e in range(moe.experts)]
    rules = [
        copy("mlp.router.weight", names.router, moe.experts, hidden),
        *(stack(each[0].key, each) for each in zip(*experts, strict=True)),
    ]
    if moe.expert_bias:
        rules.append(copy("mlp.router.expert_bias", names.expert_bias, moe.experts, fp32=True))
    if names.shared and moe.shared_ffn_hidden:
        rules.extend(_gated("mlp.shared_experts", names.shared, moe.shared_ffn_hidden, hidden))
    if moe.shared_gate:
        rules.append(copy("mlp.shared_experts.gate_weight", names.shared_gate, 1, hidden))
    return tuple(rules)


def mtp_rules(layer: LayerSpec, hidden: int, names: MoENames) -> TensorRules:
    """One multi-token-prediction module; keys are relative to `mtp.layers.k.`, names to `model.layers.(layers+k).`."""
    return (
        norm("enorm.weight", "enorm.weight", hidden),
        norm("hnorm.weight", "hnorm.weight", hidden),
        copy("eh_proj.weight", "eh_proj.weight", hidden, 2 * hidden),
        *under("transformer_layer.", "", layer_rules(layer, hidden, names)),
        norm("final_layernorm.weight", "shared_head.norm.weight", hidden),
    )

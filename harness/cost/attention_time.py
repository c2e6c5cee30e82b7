"""Time of the attention half of a layer, forward; see `layer_time` for the backward pass.

Shapes: t tokens of a micro-batch, h heads, H hidden size; TP splits heads, and tokens outside of the projections.
"""

from harness.arch.attention import GQA, MLA, Attention
from harness.cost.comm import Group, gather_s
from harness.cost.gemm import gemm_s
from harness.cost.layer_shape import LayerShape
from harness.cost.parts import Parts
from harness.cost.rates import Rates

BACKWARD_SCORES = 2.5
"""Fused attention computes five products backward for two forward (FlashAttention-2, section 3.1)."""


def projections(mixing: Attention, hidden: int, shape: LayerShape, rates: Rates) -> float:
    """GEMM seconds of all projections but MLA's up-projections."""
    t, tp = shape.tokens, shape.tp
    if isinstance(mixing, GQA):
        width = (mixing.heads + 2 * mixing.kv_heads) * mixing.head_dim / tp
        out = mixing.heads * mixing.head_dim / tp
        return gemm_s(t, width, hidden, rates) + gemm_s(t, hidden, out, rates)
    own = shape.own_tokens  # down-projections are not split: each rank does its own tokens
    down = gemm_s(own, mixing.kv_rank + mixing.rope_dim, hidden, rates)
    if mixing.q_rank is not None:
        down += gemm_s(own, mixing.q_rank, hidden, rates)
    return down + gemm_s(t, hidden, mixing.heads * mixing.v_dim / tp, rates)


def up_projections(mixing: Attention, hidden: int, shape: LayerShape, rates: Rates) -> float:
    """GEMM seconds up to MLA's heads, from its ranks, or from `hidden` for queries without a rank; 0 for GQA.

    `--recompute-modules mla_up_proj` repeats them all (`qkv_up_proj_and_rope_apply` of multi_latent_attention.py).
    """
    if isinstance(mixing, GQA):
        return 0.0
    t, tp = shape.tokens, shape.tp
    key_value = gemm_s(t, mixing.heads * (mixing.nope_dim + mixing.v_dim) / tp, mixing.kv_rank, rates)
    return key_value + gemm_s(t, mixing.heads * mixing.qk_dim / tp, mixing.q_rank or hidden, rates)


def score_flops(mixing: Attention, shape: LayerShape) -> float:
    """Operations of the causal core attention of a rank, forward: half of the square."""
    pairs = shape.tokens * shape.seq_len / 2
    return 2 * pairs * mixing.heads * (mixing.qk_dim + mixing.v_dim) / shape.tp


def ring_s(mixing: Attention, shape: LayerShape, rates: Rates) -> float:
    """Context parallel: keys and values travel once around the ring (TransformerEngine, cp_comm_type p2p)."""
    if shape.cp == 1:
        return 0.0
    heads = mixing.kv_heads if isinstance(mixing, GQA) else mixing.heads
    own_bytes = shape.tokens * heads * (mixing.qk_dim + mixing.v_dim) / shape.tp * shape.element_bytes
    return gather_s(own_bytes * shape.cp, Group(size=shape.cp, stride=shape.tp), rates)


def element_bytes(mixing: Attention, hidden: int, shape: LayerShape) -> float:
    """Bytes that element-wise kernels read and write, forward: norm, residual, rotary embedding and casts."""
    width = mixing.heads * (mixing.qk_dim + mixing.v_dim) / shape.tp
    around = 5 * hidden * shape.own_tokens  # norm reads and writes, residual reads two and writes one
    rotary = (4 if isinstance(mixing, MLA) else 2) * width * shape.tokens  # MLA also puts its parts together
    cast = (hidden * shape.own_tokens + width * shape.tokens) if shape.quantised else 0.0
    return shape.element_bytes * (around + rotary + cast * 1.5)


def forward(mixing: Attention, hidden: int, shape: LayerShape, rates: Rates) -> Parts:
    """The attention half of one micro-batch."""
    scores_s = score_flops(mixing, shape) / rates.attention_forward_flops_per_s
    return Parts(
        gemm=projections(mixing, hidden, shape, rates) + up_projections(mixing, hidden, shape, rates),
        attention=scores_s,
        elementwise=element_bytes(mixing, hidden, shape) / rates.hbm_bytes_per_s,
        tp=tp_s(hidden, shape, rates),
        cp=max(0.0, ring_s(mixing, shape, rates) - scores_s),
    )


def tp_s(hidden: int, shape: LayerShape, rates: Rates) -> float:
    """All-gather before and reduce-scatter after a tensor-parallel block."""
    whole_bytes = shape.tokens * hidden * shape.element_bytes
    exposed = 0.3 if shape.tp_overlap else 1.0
    return 2 * gather_s(whole_bytes, Group(size=shape.tp), rates) * exposed

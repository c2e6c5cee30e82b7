"""Time of one layer for one micro-batch: forward, backward, and what is computed again."""

from functools import lru_cache
from typing import NamedTuple

from harness.arch.model import LayerSpec
from harness.arch.moe import MoE
from harness.cost import attention_time, ffn_time
from harness.cost.layer_shape import LayerShape
from harness.cost.parts import NOTHING, Parts
from harness.cost.rates import Rates

HOST_SHARES = {"attn": 0.3, "moe_router": 0.1, "moe_preprocess": 0.1, "moe": 0.5}
"""Shares of an MoE layer's launches: those of attention, router, dispatch's preparation, and the experts' own."""
BACKWARD_LAUNCHES = 1.2
"""Time to launch a layer's backward pass beside its forward pass: autograd's own thread runs it."""
DENSE_LAUNCHES = 0.5
"""Launches of a dense layer beside those of an MoE layer."""


class LayerTime(NamedTuple):
    """`recomputed` is the part of the forward pass that runs again before the backward pass."""

    forward: Parts
    backward: Parts
    recomputed: Parts


@lru_cache(maxsize=8192)
def layer_time(layer: LayerSpec, hidden: int, shape: LayerShape, rates: Rates) -> LayerTime:
    """One layer; backward GEMMs are two for each one forward."""
    mixing = attention_time.forward(layer.attention, hidden, shape, rates)
    feed = ffn_time.forward(layer.ffn, hidden, shape, rates)
    forward = mixing.plus(feed)
    forward = forward._replace(
        elementwise=forward.elementwise * (1 + rates.constants.kernel_aging) ** shape.fp8_age,
        host=_host_s(layer, shape, rates),
    )
    return LayerTime(
        forward=forward,
        backward=_backward(layer, forward, shape, rates),
        recomputed=_recomputed(layer, hidden, mixing, shape, rates),
    )


def _backward(layer: LayerSpec, forward: Parts, shape: LayerShape, rates: Rates) -> Parts:
    """Gradients of inputs and of weights; sequence parallel gathers the inputs once more for the weights."""
    scores = attention_time.score_flops(layer.attention, shape) * attention_time.BACKWARD_SCORES
    return Parts(
        gemm=2 * forward.gemm,
        experts=2 * forward.experts,
        attention=scores / rates.attention_backward_flops_per_s,
        elementwise=2 * forward.elementwise,
        tp=1.5 * forward.tp,
        cp=2 * forward.cp,
        ep=forward.ep - ffn_time.sync_s(shape, rates) if isinstance(layer.ffn, MoE) else 0.0,
        host=BACKWARD_LAUNCHES * forward.host,
    )


def _recomputed(layer: LayerSpec, hidden: int, mixing: Parts, shape: LayerShape, rates: Rates) -> Parts:
    again = NOTHING
    ffn = layer.ffn
    if "core_attn" in shape.recomputed:
        again = again.plus(Parts(attention=mixing.attention))
    if "mla_up_proj" in shape.recomputed:
        again = again.plus(Parts(gemm=attention_time.up_projections(layer.attention, hidden, shape, rates)))
    if "layernorm" in shape.recomputed:
        norms = 2 * 2 * hidden * shape.own_tokens * shape.element_bytes
        again = again.plus(Parts(elementwise=norms / rates.hbm_bytes_per_s))
    if isinstance(ffn, MoE):
        return again.plus(_recomputed_experts(ffn, hidden, shape, rates))
    if "mlp" in shape.recomputed:
        again = again.plus(ffn_time.mlp(ffn, hidden, shape, rates))
    return again


def _recomputed_experts(ffn: MoE, hidden: int, shape: LayerShape, rates: Rates) -> Parts:
    again = NOTHING
    if "moe" in shape.recomputed:
        return ffn_time.experts(ffn, hidden, shape, rates).plus(ffn_time.shared(ffn, hidden, shape, rates))
    if "shared_experts" in shape.recomputed:
        again = again.plus(ffn_time.shared(ffn, hidden, shape, rates))
    if "moe_act" in shape.recomputed:
        width = ffn_time.activation_width(ffn.expert) / shape.etp * shape.element_bytes
        again = again.plus(Parts(elementwise=ffn_time.routed_tokens(ffn, shape) * width / rates.hbm_bytes_per_s))
    return again


def _host_s(layer: LayerSpec, shape: LayerShape, rates: Rates) -> float:
    """Time to launch a layer's kernels, forward, as far as no CUDA graph holds them."""
    if shape.graphs.full:
        return 0.0
    constants = rates.constants
    factor = rates.host_factor * (1 + constants.host_aging) ** shape.fp8_age
    if not isinstance(layer.ffn, MoE):
        return constants.host_layer_s * DENSE_LAUNCHES * factor
    captured = shape.graphs.modules
    launched = sum(share for name, share in HOST_SHARES.items() if name not in captured)
    per_expert = 0.0 if "moe" in captured else constants.host_expert_s * ffn_time.local_experts(layer.ffn, shape)
    return (constants.host_layer_s * launched + per_expert) * factor

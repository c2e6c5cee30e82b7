"""Time of the feed-forward half of a layer, forward: a dense MLP, or router, dispatch, experts and combine."""

from harness.arch.moe import Dense, FeedForward, MoE
from harness.cost.attention_time import tp_s
from harness.cost.comm import Group
from harness.cost.dispatch import dispatch_s
from harness.cost.gemm import gemm_s
from harness.cost.layer_shape import LayerShape
from harness.cost.parts import Parts
from harness.cost.rates import Rates


def forward(ffn: FeedForward, hidden: int, shape: LayerShape, rates: Rates) -> Parts:
    """The feed-forward half of one micro-batch."""
    if isinstance(ffn, Dense):
        return mlp(ffn, hidden, shape, rates).plus(_around(hidden, shape, rates))
    return (
        experts(ffn, hidden, shape, rates).plus(shared(ffn, hidden, shape, rates)).plus(_around(hidden, shape, rates))
    )


def mlp(ffn: Dense, hidden: int, shape: LayerShape, rates: Rates) -> Parts:
    """A dense MLP on all tokens, split over TP."""
    inner = ffn.ffn_hidden / shape.tp
    moved = shape.tokens * (activation_width(ffn) / shape.tp + cast_width(hidden, ffn.ffn_hidden / shape.tp, shape))
    return Parts(
        gemm=gemm_s(shape.tokens, inner * (ffn.matrices - 1), hidden, rates)
        + gemm_s(shape.tokens, hidden, inner, rates),
        elementwise=moved * shape.element_bytes / rates.hbm_bytes_per_s,
        tp=tp_s(hidden, shape, rates),
    )


def shared(ffn: MoE, hidden: int, shape: LayerShape, rates: Rates) -> Parts:
    """The shared experts: one MLP for all tokens."""
    return mlp(ffn.shared, hidden, shape, rates) if ffn.shared_ffn_hidden else Parts()


def experts(ffn: MoE, hidden: int, shape: LayerShape, rates: Rates) -> Parts:
    """Router, dispatch, the local experts as a grouped GEMM, combine."""
    routed = routed_tokens(ffn, shape)
    return Parts(
        gemm=gemm_s(shape.own_tokens, ffn.experts, hidden, rates, bf16=True),
        experts=expert_gemms(ffn, hidden, shape, rates),
        elementwise=(router_bytes(ffn, hidden, shape) + permute_bytes(ffn, hidden, shape)) / rates.hbm_bytes_per_s
        + routed * expert_width(ffn, hidden, shape) * shape.element_bytes / rates.hbm_bytes_per_s,
        ep=2 * exchange_s(ffn, hidden, shape, rates) + sync_s(shape, rates),
    )


def routed_tokens(ffn: MoE, shape: LayerShape) -> float:
    """Copies of tokens that the local experts of the fullest rank process."""
    return shape.own_tokens * ffn.top_k * shape.expert_load * shape.etp


def local_experts(ffn: MoE, shape: LayerShape) -> float:
    """Experts of a rank."""
    return max(1.0, ffn.experts / shape.ep)


def expert_gemms(ffn: MoE, hidden: int, shape: LayerShape, rates: Rates) -> float:
    """Both GEMMs of all local experts."""
    count = local_experts(ffn, shape)
    each = routed_tokens(ffn, shape) / count
    inner = ffn.ffn_hidden / shape.etp
    groups = int(count) if shape.grouped else 1
    repeats = 1 if shape.grouped else count
    up = gemm_s(each, inner * (ffn.expert.matrices - 1), hidden, rates, experts=groups)
    return repeats * (up + gemm_s(each, hidden, inner, rates, experts=groups))


def exchange_s(ffn: MoE, hidden: int, shape: LayerShape, rates: Rates) -> float:
    """One dispatch or combine; the fullest rank is waited for."""
    group = Group(size=shape.ep, stride=shape.etp)
    token_bytes = hidden * shape.element_bytes
    sent = dispatch_s(ffn, token_bytes, shape.own_tokens * shape.expert_load, group, shape.dispatcher, rates)
    if shape.etp == 1:
        return sent
    return sent + tp_s(hidden, shape, rates) / 2 * ffn.top_k  # the copies are gathered over ETP


def sync_s(shape: LayerShape, rates: Rates) -> float:
    """The host waits for the counts of tokens before it can launch the experts, and the device for the host."""
    return 0.0 if shape.static_shapes else rates.constants.sync_s


def router_bytes(ffn: MoE, hidden: int, shape: LayerShape) -> float:
    """The router reads tokens, and passes over the scores of all experts a few times in fp32."""
    return shape.own_tokens * (hidden * (shape.element_bytes + 4) + 10 * 4 * ffn.experts)


def permute_bytes(ffn: MoE, hidden: int, shape: LayerShape) -> float:
    """Tokens are copied into the order of experts and back: once by DeepEP and HybridEP, twice by all-to-all."""
    times = 1 if shape.dispatcher in ("deepep", "hybridep") else 2
    return 4 * times * routed_tokens(ffn, shape) / shape.etp * hidden * shape.element_bytes


def activation_width(ffn: Dense) -> float:
    """Values that the activation reads and writes for a token: gate and up in, product out."""
    return ffn.matrices * ffn.ffn_hidden


def expert_width(ffn: MoE, hidden: int, shape: LayerShape) -> float:
    """Values that activation and casts move for a routed token."""
    inner = ffn.ffn_hidden / shape.etp
    return activation_width(ffn.expert) / shape.etp + cast_width(hidden, inner, shape)


def cast_width(hidden: int, inner: float, shape: LayerShape) -> float:
    """Casts of both GEMMs' inputs: read in bf16, written by rows and by columns in fp8, as values of bf16."""
    return 2.0 * (hidden + inner) if shape.quantised else 0.0


def _around(hidden: int, shape: LayerShape, rates: Rates) -> Parts:
    """Norm and residual."""
    return Parts(elementwise=5 * hidden * shape.own_tokens * shape.element_bytes / rates.hbm_bytes_per_s)

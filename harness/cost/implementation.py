"""Who computes the layers: what Transformer Engine fuses, torch's own operations save one by one."""

from typing import NamedTuple


class Implementation(NamedTuple):
    """What an implementation saves for the backward pass.

    `norm_bytes`: bytes a norm saves of each element, in place of its input; None: the input itself. `fused_norms`: the
    norm before a dense linear layer is part of it. `activation_copies`: tensors of an MLP's inner size that the gated
    activation saves beside its input. `fused_rope`: queries, keys and values are tensors of their own, without tables
    of sines. `fused_attention`: no scores are saved where values have a head size of their own.
    """

    norm_bytes: int | None
    fused_norms: bool
    activation_copies: int
    fused_rope: bool
    fused_attention: bool


TRANSFORMER_ENGINE = Implementation(
    norm_bytes=None, fused_norms=True, activation_copies=0, fused_rope=True, fused_attention=True
)
"""Transformer Engine 2.x (its linear, layernorm_linear, grouped_linear, dot_product_attention and permutation modules)
with Megatron's fused SwiGLU and rotary embedding."""

TORCH_ON_CPU = Implementation(
    norm_bytes=8, fused_norms=False, activation_copies=2, fused_rope=False, fused_attention=False
)
"""The embedded engine's layers (harness/engine) on CPU ranks in bf16. torch's RMSNorm saves its input and its output
before scaling in fp32; SwiGLU the sigmoid's product and a copy of the other half, or their product; flash attention
for heads of one size keeps the whole output of linear_qkv, and without flash attention (MLA) queries, keys, values and
scores are saved in fp32."""

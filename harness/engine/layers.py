"""The torch-native layer specs: Megatron's own local specs, with its parts that need Transformer Engine replaced."""

from dataclasses import replace
from typing import Any

from megatron.core.models.backends import LocalSpecProvider
from megatron.core.models.gpt.gpt_layer_specs import (
    get_gpt_decoder_block_spec,
    get_gpt_decoder_layer_specs,
    get_gpt_mtp_block_spec_for_backend,
    get_mlp_module_spec_for_backend,
)
from megatron.core.transformer.identity_op import IdentityOp
from megatron.core.transformer.moe.moe_layer import MoELayer
from megatron.core.transformer.multi_latent_attention import MLASelfAttention
from megatron.core.transformer.spec_utils import ModuleSpec

from harness.engine.attention import CoreAttention, LatentAttention
from harness.engine.experts import GroupedExperts
from harness.engine.norm import RMSNorm


class TorchSpecProvider(LocalSpecProvider):
    """Megatron's local modules, with attention, norm and grouped experts that need no Transformer Engine."""

    def layer_norm(self, rms_norm: bool = False, for_qk: bool = False, has_residual: bool = False) -> Any:
        """The module of every norm."""
        return RMSNorm

    def core_attention(self) -> type:
        """The module of GQA's and MLA's core attention."""
        return CoreAttention

    def grouped_mlp_modules(self, moe_use_grouped_gemm: bool) -> Any:
        """The module of the routed experts: grouped, or Megatron's own, one after the other."""
        return GroupedExperts if moe_use_grouped_gemm else super().grouped_mlp_modules(moe_use_grouped_gemm)


def decoder_block_spec(config: Any, *, vp_stage: int | None = None) -> Any:
    """The spec of the decoder layers of this rank's pipeline stage, and of the final norm."""
    block = get_gpt_decoder_block_spec(
        config, use_transformer_engine=False, normalization=config.normalization, vp_stage=vp_stage
    )
    layers = [_torch_native(layer, config) for layer in block.layer_specs]
    return replace(block, layer_specs=layers, layer_norm=RMSNorm)


def mtp_block_spec(config: Any, *, vp_stage: int | None = None) -> Any:
    """The spec of the multi-token prediction layers, made like the last decoder layer; None where there are none."""
    if config.mtp_num_layers is None:
        return None
    layers = get_gpt_decoder_layer_specs(config, use_transformer_engine=False, normalization=config.normalization)
    last = _torch_native(layers[-1], config)
    return get_gpt_mtp_block_spec_for_backend(config, last, TorchSpecProvider(), vp_stage=vp_stage)


def _torch_native(layer: ModuleSpec, config: Any) -> ModuleSpec:
    """One decoder layer's local spec with its norms, core attention and experts replaced."""
    parts = layer.submodules
    is_moe = getattr(parts.mlp, "func", None) is MoELayer
    mlp = get_mlp_module_spec_for_backend(
        TorchSpecProvider(),
        num_experts=config.num_moe_experts if is_moe else None,
        moe_grouped_gemm=config.moe_grouped_gemm,
    )
    attention = _torch_native_attention(parts.self_attention, config)
    parts = replace(parts, input_layernorm=RMSNorm, self_attention=attention, pre_mlp_layernorm=RMSNorm, mlp=mlp)
    return replace(layer, submodules=parts)


def _torch_native_attention(attention: ModuleSpec, config: Any) -> ModuleSpec:
    """The spec of MLA or GQA, whose norms of queries and keys are replaced where it has them."""
    is_latent = attention.module is MLASelfAttention
    norm = RMSNorm if config.qk_layernorm else IdentityOp
    norms = {"q_layernorm": norm, "kv_layernorm" if is_latent else "k_layernorm": norm}
    if is_latent and config.q_lora_rank is None:
        norms["q_layernorm"] = IdentityOp
    parts = replace(attention.submodules, core_attention=CoreAttention, **norms)
    return replace(attention, module=LatentAttention if is_latent else attention.module, submodules=parts)

"""Qwen2-57B-A14B and its kin: config.json → Megatron's flags, and back."""

from collections.abc import Mapping

from ckpt_convert.families.common_flags import FamilyFlags, common_flags, grouped_attention_flags
from ckpt_convert.families.config_file import ConfigFile
from ckpt_convert.families.rope import read_rope
from harness.arch.model import moe_layers
from harness.checkpoint.flag_text import moe_layer_flag
from harness.config.megatron_args import MegatronArgs


def qwen2_moe_flags(config: ConfigFile) -> FamilyFlags:
    """A gated shared expert, biased queries, keys and values; scores taken before the choice and kept as they are."""
    config.must_be("norm_topk_prob", False, "Megatron's --moe-router-pre-softmax keeps the scores as they are")
    config.must_be("use_sliding_window", False, "Megatron's GPT attends to the whole sequence")
    full = ["full_attention"] * config.whole("num_hidden_layers")
    config.must_be("layer_types", full, "Megatron's GPT attends to the whole sequence")
    config.must_not_exceed("num_experts_per_tok", "num_experts")
    pattern, expert = _moe_layers(config), config.whole("moe_intermediate_size")
    ffn_hidden = expert if all(pattern) else config.whole("intermediate_size")
    return {
        **common_flags(config, ffn_hidden=ffn_hidden, default_epsilon=1e-6),
        **grouped_attention_flags(config, read_rope(config)),
        **({"--add-qkv-bias": True} if config.flag("qkv_bias", True) else {}),
        "--num-experts": str(config.whole("num_experts")),
        "--moe-layer-freq": moe_layer_flag(pattern),
        "--moe-router-topk": str(config.whole("num_experts_per_tok")),
        "--moe-ffn-hidden-size": str(expert),
        "--moe-shared-expert-intermediate-size": str(config.whole("shared_expert_intermediate_size")),
        "--moe-shared-expert-gate": True,
        "--moe-router-pre-softmax": True,
        "--moe-router-dtype": "fp32",
    }


def _moe_layers(config: ConfigFile) -> list[bool]:
    """Every `decoder_sparse_step`-th layer, counted from 1, is a mixture of experts, but those in `mlp_only_layers`."""
    step, plain = config.whole("decoder_sparse_step", 1), config.values.get("mlp_only_layers") or []
    if not isinstance(plain, list):
        config.problem(f"mlp_only_layers is {plain!r}; allowed: a list of layers, or null")
        plain = []
    layers = config.whole("num_hidden_layers")
    return [(index + 1) % step == 0 and index not in plain for index in range(layers)]


def qwen2_moe_config(flags: MegatronArgs) -> Mapping[str, object]:
    """config.json of a Qwen2-MoE that was trained with these flags."""
    plain = [index for index, is_moe in enumerate(moe_layers(flags)) if not is_moe]
    return {
        "num_key_value_heads": flags.integer("--num-query-groups"),
        "head_dim": flags.integer("--kv-channels"),
        "intermediate_size": flags.integer("--ffn-hidden-size"),
        "moe_intermediate_size": flags.integer("--moe-ffn-hidden-size"),
        "shared_expert_intermediate_size": flags.integer("--moe-shared-expert-intermediate-size"),
        "num_experts": flags.integer("--num-experts"),
        "num_experts_per_tok": flags.integer("--moe-router-topk", 2),
        "mlp_only_layers": plain,
        "decoder_sparse_step": 1,
        "norm_topk_prob": False,
        "qkv_bias": flags.switch("--add-qkv-bias"),
        "max_position_embeddings": flags.integer("--max-position-embeddings"),
        "rope_theta": float(flags.text("--rotary-base", "10000")),
        "use_sliding_window": False,
    }

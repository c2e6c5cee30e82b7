"""Mixtral-8x7B and 8x22B: config.json → Megatron's flags, and back."""

from collections.abc import Mapping

from ckpt_convert.families.common_flags import FamilyFlags, common_flags, grouped_attention_flags
from ckpt_convert.families.config_file import ConfigFile
from ckpt_convert.families.rope import read_rope
from harness.checkpoint.flag_text import moe_layer_flag
from harness.config.megatron_args import MegatronArgs


def mixtral_flags(config: ConfigFile) -> FamilyFlags:
    """Experts in every layer; the scores of the chosen ones are normalised, as Megatron does without pre-softmax."""
    expert = config.whole("intermediate_size")
    if config.values.get("sliding_window"):
        config.problem(
            f"sliding_window is {config.values['sliding_window']!r}; Mixtral's weights were trained without, and "
            "Megatron's GPT attends to the whole sequence; allowed: null"
        )
    if config.whole("num_experts_per_tok") == 1:
        config.problem("num_experts_per_tok is 1; Megatron wants --moe-router-pre-softmax then; allowed: 2 or more")
    config.must_not_exceed("num_experts_per_tok", "num_local_experts")
    return {
        **common_flags(config, ffn_hidden=expert, default_epsilon=1e-5),
        **grouped_attention_flags(config, read_rope(config, default_base=1e6)),
        "--num-experts": str(config.whole("num_local_experts")),
        "--moe-layer-freq": moe_layer_flag([True] * config.whole("num_hidden_layers")),
        "--moe-router-topk": str(config.whole("num_experts_per_tok")),
        "--moe-ffn-hidden-size": str(expert),
        "--moe-router-dtype": "fp32",
    }


def mixtral_config(flags: MegatronArgs) -> Mapping[str, object]:
    """config.json of a Mixtral that was trained with these flags."""
    return {
        "num_key_value_heads": flags.integer("--num-query-groups"),
        "head_dim": flags.integer("--kv-channels"),
        "intermediate_size": flags.integer("--moe-ffn-hidden-size"),
        "num_local_experts": flags.integer("--num-experts"),
        "num_experts_per_tok": flags.integer("--moe-router-topk", 2),
        "max_position_embeddings": flags.integer("--max-position-embeddings"),
        "rope_theta": float(flags.text("--rotary-base", "10000")),
        "sliding_window": None,
    }

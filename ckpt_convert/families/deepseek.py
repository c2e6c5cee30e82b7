"""DeepSeek-V2, V2-Lite and V3: config.json → Megatron's flags, and back."""

from collections.abc import Mapping

from ckpt_convert.families.common_flags import FamilyFlags, common_flags
from ckpt_convert.families.config_file import ConfigFile
from ckpt_convert.families.rope import RopeParameters, read_rope
from harness.arch.model import moe_layers
from harness.checkpoint.flag_text import moe_layer_flag, number_text
from harness.config.megatron_args import MegatronArgs


def deepseek_v3_flags(config: ConfigFile) -> FamilyFlags:
    """Sigmoid scores, a bias that balances experts, groups scored by their best two, multi-token prediction."""
    config.must_be("scoring_func", "sigmoid", "DeepSeek-V3 routes by sigmoid scores")
    config.must_be("topk_method", "noaux_tc", "DeepSeek-V3 picks experts by score and bias")
    config.must_be("norm_topk_prob", True, "Megatron normalises the sigmoid scores of the chosen experts")
    config.must_be("rope_interleave", True, "Megatron's latent attention interleaves rotary dimensions")
    mtp_layers = config.whole("num_nextn_predict_layers", 0, least=0)
    groups, group_top_k = config.whole("n_group"), config.whole("topk_group")
    top_k = config.whole("num_experts_per_tok")
    if top_k == 1:
        config.problem("num_experts_per_tok is 1; Megatron normalises the score of 2 or more; allowed: 2 or more")
    if groups > 1 and top_k // group_top_k != 2:
        config.problem(
            f"num_experts_per_tok is {top_k} and topk_group {group_top_k}; DeepSeek-V3 scores a group by its best 2 "
            "experts, Megatron by its best num_experts_per_tok/topk_group; allowed: twice as many experts as groups"
        )
    return {
        **_common_flags(config, default_scaling=None),
        **_group_flags(config, groups, group_top_k),
        "--moe-router-score-function": "sigmoid",
        "--moe-router-enable-expert-bias": True,
        **({"--mtp-num-layers": str(mtp_layers)} if mtp_layers else {}),
    }


def deepseek_v2_flags(config: ConfigFile) -> FamilyFlags:
    """Softmax scores taken before the choice and not normalised after it, groups scored by their best one."""
    config.must_be("scoring_func", "softmax", "DeepSeek-V2 routes by softmax scores")
    config.must_be("norm_topk_prob", False, "Megatron's --moe-router-pre-softmax keeps the scores as they are")
    config.must_be("mlp_bias", False, "Megatron builds no biases here (--disable-bias-linear)")
    method = config.values.get("topk_method") or "greedy"
    is_grouped = method == "group_limited_greedy"
    if not is_grouped and method != "greedy":
        config.problem(f"topk_method is {method!r}; allowed: 'greedy', 'group_limited_greedy'")
    groups = (config.whole("n_group"), config.whole("topk_group")) if is_grouped else (1, 1)
    return {
        **_common_flags(config, default_scaling=1.0),
        **_group_flags(config, *groups),
        "--moe-router-pre-softmax": True,
    }


def _common_flags(config: ConfigFile, *, default_scaling: float | None) -> FamilyFlags:
    """What all three have."""
    layers, dense = config.whole("num_hidden_layers"), config.whole("first_k_dense_replace", 0, least=0)
    config.must_be("moe_layer_freq", 1, "all layers after the first dense ones are mixtures of experts")
    config.must_be("attention_bias", False, "Megatron builds no biases here (--disable-bias-linear)")
    config.must_be("rms_norm_eps", 1e-6, "the norms inside latent attention always use 1e-6, Megatron one for all")
    config.must_not_exceed("first_k_dense_replace", "num_hidden_layers")
    config.must_not_exceed("num_experts_per_tok", "n_routed_experts")
    expert = config.whole("moe_intermediate_size")
    shared = expert * config.whole("n_shared_experts", 0, least=0)
    return {
        **common_flags(config, ffn_hidden=config.whole("intermediate_size"), default_epsilon=1e-6),
        **_latent_attention_flags(config, read_rope(config)),
        "--num-experts": str(config.whole("n_routed_experts")),
        "--moe-layer-freq": moe_layer_flag(index >= dense for index in range(layers)),
        "--moe-router-topk": str(config.whole("num_experts_per_tok")),
        "--moe-ffn-hidden-size": str(expert),
        **({"--moe-shared-expert-intermediate-size": str(shared)} if shared else {}),
        "--moe-router-topk-scaling-factor": str(float(config.number("routed_scaling_factor", default_scaling))),
        "--moe-router-dtype": "fp32",
    }


def _group_flags(config: ConfigFile, groups: int, group_top_k: int) -> FamilyFlags:
    """A token's experts come from the best groups; one group is none."""
    if groups == 1:
        return {}
    config.must_divide("n_group", "n_routed_experts")
    config.must_not_exceed("topk_group", "n_group")
    config.must_not_exceed("topk_group", "num_experts_per_tok")
    return {"--moe-router-num-groups": str(groups), "--moe-router-group-topk": str(group_top_k)}


def _latent_attention_flags(config: ConfigFile, rope: RopeParameters) -> FamilyFlags:
    """Ranks and head sizes, and the rotary embedding that the rest of the head goes without."""
    heads = config.whole("num_attention_heads")
    config.must_be("num_key_value_heads", heads, "latent attention has a key and a value for every head")
    value_dim, q_rank = config.whole("v_head_dim"), config.whole("q_lora_rank", 0, least=0)
    return {
        "--multi-latent-attention": True,
        "--kv-channels": str(value_dim),
        **({"--q-lora-rank": str(q_rank)} if q_rank else {}),
        "--kv-lora-rank": str(config.whole("kv_lora_rank")),
        "--qk-head-dim": str(config.whole("qk_nope_head_dim")),
        "--qk-pos-emb-head-dim": str(config.whole("qk_rope_head_dim")),
        "--v-head-dim": str(value_dim),
        "--qk-layernorm": True,
        "--position-embedding-type": "rope",
        **_rotary_flags(config, rope),
    }


def _rotary_flags(config: ConfigFile, rope: RopeParameters) -> FamilyFlags:
    """Up to 0.13 Megatron takes YaRN's original length from `--max-position-embeddings`."""
    if rope.kind not in {"yarn", "default"}:
        config.problem(f"rope type is {rope.kind!r}; allowed: 'yarn', 'default'")
    if rope.kind != "yarn":
        length = config.whole("max_position_embeddings")
        return {"--rope-type": "rope", "--rotary-base": rope.base, "--max-position-embeddings": str(length)}
    return {
        "--rope-type": "yarn",
        "--rotary-base": rope.base,
        "--max-position-embeddings": str(rope.original_length),
        "--rotary-scaling-factor": number_text(rope.factor),
        "--mscale": str(float(rope.mscale)),
        "--mscale-all-dim": str(float(rope.mscale_all_dim)),
    }


def deepseek_v3_config(flags: MegatronArgs) -> Mapping[str, object]:
    """config.json of a DeepSeek-V3 that was trained with these flags."""
    return {
        **_common_config(flags),
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "norm_topk_prob": True,
        "n_group": flags.integer("--moe-router-num-groups", 1),
        "topk_group": flags.integer("--moe-router-group-topk", 1),
        "num_nextn_predict_layers": flags.integer("--mtp-num-layers"),
    }


def deepseek_v2_config(flags: MegatronArgs) -> Mapping[str, object]:
    """config.json of a DeepSeek-V2 that was trained with these flags."""
    is_grouped = flags.integer("--moe-router-num-groups") > 1
    return {
        **_common_config(flags),
        "scoring_func": "softmax",
        "topk_method": "group_limited_greedy" if is_grouped else "greedy",
        "norm_topk_prob": False,
        "n_group": flags.integer("--moe-router-num-groups", 1),
        "topk_group": flags.integer("--moe-router-group-topk", 1),
    }


def _common_config(flags: MegatronArgs) -> dict[str, object]:
    expert, heads = flags.integer("--moe-ffn-hidden-size"), flags.integer("--num-attention-heads")
    pattern = moe_layers(flags)
    return {
        "q_lora_rank": flags.integer("--q-lora-rank") or None,
        "kv_lora_rank": flags.integer("--kv-lora-rank", 32),
        "qk_nope_head_dim": flags.integer("--qk-head-dim", 128),
        "qk_rope_head_dim": flags.integer("--qk-pos-emb-head-dim", 64),
        "v_head_dim": flags.integer("--v-head-dim", 128),
        "num_key_value_heads": heads,
        "intermediate_size": flags.integer("--ffn-hidden-size"),
        "moe_intermediate_size": expert,
        "n_routed_experts": flags.integer("--num-experts"),
        "n_shared_experts": flags.integer("--moe-shared-expert-intermediate-size") // expert,
        "num_experts_per_tok": flags.integer("--moe-router-topk", 2),
        "routed_scaling_factor": flags.number("--moe-router-topk-scaling-factor", 1.0),
        "first_k_dense_replace": pattern.index(True) if any(pattern) else len(pattern),
        "moe_layer_freq": 1,
        **_rope_config(flags),
    }


def _rope_config(flags: MegatronArgs) -> dict[str, object]:
    base, length = float(flags.text("--rotary-base", "10000")), flags.integer("--max-position-embeddings")
    if flags.text("--rope-type", "yarn") == "rope":
        return {"rope_theta": base, "max_position_embeddings": length}
    factor = flags.number("--rotary-scaling-factor", 1.0)
    scaling = {
        "type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": length,
        "mscale": flags.number("--mscale", 1.0),
        "mscale_all_dim": flags.number("--mscale-all-dim"),
        "beta_fast": 32,
        "beta_slow": 1,
    }
    return {"rope_theta": base, "max_position_embeddings": int(length * factor), "rope_scaling": scaling}

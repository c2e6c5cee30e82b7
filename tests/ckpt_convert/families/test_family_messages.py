"""What is said about configs and tensors that cannot be converted."""

from typing import Any

import pytest
from family_configs import infos, tiny

from ckpt_convert.families.blueprints import to_hugging_face, to_megatron
from ckpt_convert.families.model import Model, model_of_config
from ckpt_convert.tensors import Dtype, TensorInfo
from harness.errors import ConfigError

WHERE = "models/tiny/config.json"


def refused(config: dict[str, Any]) -> tuple[str, ...]:
    """The problems of a config, each without the file's name in front, which all have."""
    with pytest.raises(ConfigError) as error:
        model_of_config(config, WHERE)
    assert all(problem.startswith(f"{WHERE}: ") for problem in error.value.problems)
    return tuple(problem.removeprefix(f"{WHERE}: ") for problem in error.value.problems)


def test_an_unknown_architecture_names_the_nearest() -> None:
    (problem,) = refused({"architectures": ["Qwen3MoeForCausalLM"]})
    assert problem.startswith(
        "architectures 'Qwen3MoeForCausalLM' cannot be converted; did you mean Qwen2MoeForCausalLM"
    )
    assert refused({}) == ("neither architectures nor model_type says what the model is",)
    assert model_of_config(tiny("Mixtral", architectures=...), WHERE).family == "Mixtral"


def test_all_that_is_missing_or_absurd_is_said_at_once() -> None:
    config = tiny(
        "DeepSeek-V3", hidden_size=..., num_hidden_layers=-3, vocab_size="many", n_group=None, n_shared_experts=0.5
    )
    assert refused(config) == (
        "n_group is missing",
        "num_hidden_layers is -3; allowed: a whole number, 1 or more",
        "n_shared_experts is 0.5; allowed: a whole number, 0 or more",
        "vocab_size is 'many'; allowed: a whole number, 1 or more",
        "hidden_size is missing",
    )


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("DeepSeek-V3", {"hidden_act": "gelu"}, "hidden_act is 'gelu'; Megatron's --swiglu gates with silu"),
        ("DeepSeek-V3", {"attention_bias": True}, "attention_bias is True; Megatron builds no biases here"),
        ("DeepSeek-V3", {"norm_topk_prob": False}, "norm_topk_prob is False; Megatron normalises the sigmoid scores"),
        ("DeepSeek-V3", {"topk_group": 1}, "num_experts_per_tok is 4 and topk_group 1; DeepSeek-V3 scores a group"),
        ("DeepSeek-V3", {"quantization_config": {"quant_method": "awq"}}, "quantization_config: quant_method is 'awq'"),
        ("DeepSeek-V3", {"n_group": 3}, "n_group 3 does not divide n_routed_experts 16"),
        ("DeepSeek-V3", {"rope_theta": 10000.5}, "rope_theta is 10000.5; Megatron's --rotary-base takes a whole"),
        ("DeepSeek-V3", {"rms_norm_eps": 1e-5}, "rms_norm_eps is 1e-05; the norms inside latent"),  # Moonlight
        (
            "DeepSeek-V3",
            {"rope_scaling": {"type": "yarn", "beta_fast": 1.0}},  # Kimi-K2
            "rope_scaling: beta_fast is 1.0; Megatron fixes it for latent attention",
        ),
        ("DeepSeek-V3", {"rope_scaling": 4}, "rope_scaling is 4; allowed: an object, or null"),
        ("DeepSeek-V3", {"rope_scaling": {"type": "linear"}}, "rope type is 'linear'; allowed: 'yarn', 'default'"),
        ("DeepSeek-V3", {"rope_scaling": {"type": "yarn"}}, "rope_scaling: factor is missing"),
        (
            "DeepSeek-V3",
            {"rope_scaling": {"type": "yarn", "mscale": 0.7}},
            "rope_scaling: mscale and mscale_all_dim: one",
        ),
        ("DeepSeek-V2", {"norm_topk_prob": True}, "norm_topk_prob is True; Megatron's --moe-router-pre-softmax"),
        ("DeepSeek-V2", {"topk_method": "noaux_tc"}, "topk_method is 'noaux_tc'; allowed: 'greedy', 'group_limited"),
        ("DeepSeek-V2", {"first_k_dense_replace": 4}, "first_k_dense_replace 4 is larger than num_hidden_layers 3"),
        ("Mixtral", {"sliding_window": 4096}, "sliding_window is 4096; Mixtral's weights were trained without"),
        ("Mixtral", {"num_key_value_heads": 4}, "num_key_value_heads 4 does not divide num_attention_heads 6"),
        ("Mixtral", {"num_experts_per_tok": 5}, "num_experts_per_tok 5 is larger than num_local_experts 4"),
        ("Mixtral", {"rope_scaling": {"type": "yarn", "factor": 4}}, "rope type is 'yarn'; Megatron has it for latent"),
        ("Qwen2-MoE", {"norm_topk_prob": True}, "norm_topk_prob is True; Megatron's --moe-router-pre-softmax"),
        ("Qwen2-MoE", {"use_sliding_window": True}, "use_sliding_window is True; Megatron's GPT attends to the whole"),
        ("Qwen2-MoE", {"mlp_only_layers": 1}, "mlp_only_layers is 1; allowed: a list of layers, or null"),
    ],
)
def test_what_megatron_cannot_do_is_refused(name: str, changes: dict[str, Any], message: str) -> None:
    assert any(problem.startswith(message) for problem in refused(tiny(name, **changes)))


def problems(model: Model, tensors: dict[str, TensorInfo]) -> tuple[str, ...]:
    """What is wrong with the tensors in the folder `weights`."""
    with pytest.raises(ConfigError) as error:
        to_megatron(model, tensors, dtype=Dtype.BF16, where="weights")
    return tuple(problem.removeprefix("weights: ") for problem in error.value.problems)


def test_missing_extra_and_misshapen_tensors_are_all_named() -> None:
    model = model_of_config(tiny("Mixtral"), WHERE)
    tensors = infos(model.table().shapes())
    del tensors["model.norm.weight"]
    tensors["lm_head.weight"] = TensorInfo(dtype=Dtype.BF16, shape=(301, 48))
    tensors["model.layers.3.input_layernorm.weight"] = TensorInfo(dtype=Dtype.BF16, shape=(48,))
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = TensorInfo(dtype=Dtype.F32, shape=(8,))  # is skipped
    assert problems(model, tensors) == (
        "model.norm.weight (48,) is missing",
        "lm_head.weight has shape (301, 48); the config says (300, 48)",
        "model.layers.3.input_layernorm.weight (48,) is no tensor of this model",
    )


def test_a_long_list_ends_with_a_count() -> None:
    model = model_of_config(tiny("DeepSeek-V2"), WHERE)
    found = problems(model, {})
    assert len(found) == 21
    assert found[-1] == f"… and {len(model.table().shapes()) - 20} more"


def test_tied_embeddings_with_an_output_table() -> None:
    model = model_of_config(tiny("Mixtral, tied"), WHERE)
    tensors = infos({**model.table().shapes(), "lm_head.weight": (300, 48)})
    assert problems(model, tensors) == (
        "lm_head.weight (300, 48) is there, but tie_word_embeddings is true: which of the two counts? Set it to false "
        "to convert both tables, or remove the tensor",
    )


def test_multi_token_prediction_that_the_config_names_and_the_weights_lack() -> None:
    """As transformers saves DeepSeek-V3."""
    model = model_of_config(tiny("DeepSeek-V3"), WHERE)
    tensors = {name: info for name, info in infos(model.table().shapes()).items() if "layers.3." not in name}
    assert problems(model, tensors) == (
        "no tensor of multi-token prediction is there (model.layers.3.…), but num_nextn_predict_layers in config.json "
        "counts it; set that to 0 to convert the model without",
    )


def test_scales_belong_to_fp8_weights() -> None:
    model = model_of_config(tiny("DeepSeek-V3"), WHERE)
    tensors = infos(model.table().shapes())
    weight, scale = "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight_scale_inv"
    tensors[scale] = TensorInfo(dtype=Dtype.F32, shape=(1, 1))
    assert problems(model, tensors) == (f"{scale} (1, 1) scales no FP8 weight",)
    tensors[weight] = TensorInfo(dtype=Dtype.F8_E4M3, shape=(80, 48))
    assert to_megatron(model, tensors, dtype=Dtype.BF16, where="weights").tensors
    del tensors[scale]
    assert problems(model, tensors) == (f"{weight} is FP8, but its scales {scale} are missing",)


def test_a_megatron_checkpoint_that_is_not_the_model() -> None:
    model = model_of_config(tiny("Mixtral"), WHERE)
    shapes = {rule.key: rule.shape for rule in model.table().rules}
    del shapes["decoder.final_layernorm.weight"]
    shapes["embedding.word_embeddings.weight"] = (299, 48)
    shapes["output_layer.weight"] = (384, 48)  # padded: no problem
    shapes["decoder.layers.3.mlp.router.weight"] = (4, 48)
    with pytest.raises(ConfigError) as error:
        to_hugging_face(model, infos(shapes), dtype=Dtype.BF16, where="iter")
    assert error.value.problems == (
        "iter: embedding.word_embeddings.weight has shape (299, 48); the config says (300, 48)",
        "iter: decoder.final_layernorm.weight (48,) is missing",
        "iter: decoder.layers.3.mlp.router.weight (4, 48) is no tensor of this model",
    )

"""Names and shapes against what transformers saves, at tiny and at published sizes."""

from typing import Any

import pytest
from family_configs import PUBLISHED, TINY, published, tiny

from ckpt_convert.families.model import model_of_config

CONFIGS = {f"{name}, tiny": tiny(name) for name in TINY} | {name: published(name) for name in PUBLISHED}
CONFIGS |= {
    "Qwen2-MoE without biases": tiny("Qwen2-MoE", qkv_bias=False, decoder_sparse_step=2),
    "DeepSeek-V2 of dense layers alone": tiny("DeepSeek-V2", first_k_dense_replace=3),
    "DeepSeek-V2-Lite, tied": tiny("DeepSeek-V2-Lite", tie_word_embeddings=True),
}


def saved_by_transformers(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what `save_pretrained` writes for a model of this config."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from transformers.core_model_loading import revert_weight_conversion

    loadable = {key: value for key, value in config.items() if key != "quantization_config"}
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**loadable))
    state = revert_weight_conversion(model, model.state_dict())
    tied = set(model._tied_weights_keys) if loadable["tie_word_embeddings"] else set()
    return {name: tuple(tensor.shape) for name, tensor in state.items() if name not in tied}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_tensor_that_transformers_saves_has_its_place(name: str) -> None:
    config = CONFIGS[name]
    mtp = f"model.layers.{config['num_hidden_layers']}."  # transformers leaves multi-token prediction aside
    shapes = model_of_config(config, "config.json").table().shapes()
    ours = {name: shape for name, shape in shapes.items() if not name.startswith(mtp)}
    assert ours == saved_by_transformers(config)
    assert (len(ours) < len(shapes)) == bool(config.get("num_nextn_predict_layers"))


@pytest.mark.parametrize("name", TINY)
def test_config_as_transformers_writes_it_gives_the_same_flags(name: str, tmp_path: Any) -> None:
    transformers = pytest.importorskip("transformers")
    config = tiny(name)
    rewritten = transformers.AutoConfig.for_model(**{k: v for k, v in config.items() if k != "quantization_config"})
    flags = model_of_config(rewritten.to_dict(), "config.json").flags
    assert dict(flags) == dict(model_of_config(config, "config.json").flags)


def test_multi_token_prediction_is_named_as_the_published_checkpoint_names_it() -> None:
    """The names of model.safetensors.index.json under `model.layers.61`, but for the layer inside."""
    shapes = model_of_config(published("DeepSeek-V3"), "config.json").table().shapes()
    module = inside("model.layers.61.", shapes)
    layer = {name for name in module if name.startswith(("self_attn.", "mlp.", "input_layernorm", "post_attention"))}
    assert {name: shape for name, shape in module.items() if name not in layer} == {
        "embed_tokens.weight": (129280, 7168),
        "enorm.weight": (7168,),
        "hnorm.weight": (7168,),
        "eh_proj.weight": (7168, 14336),
        "shared_head.norm.weight": (7168,),
        "shared_head.head.weight": (129280, 7168),
    }
    assert {name: module[name] for name in layer} == inside("model.layers.60.", shapes)


def inside(prefix: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """What has the prefix, without it."""
    return {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}

"""Names and objects, release by release and spec by spec."""

from typing import Literal

import pytest
from family_configs import infos, tiny

from ckpt_convert.blueprint import MegatronBlueprint
from ckpt_convert.families.blueprints import to_megatron
from ckpt_convert.families.exact import Exact
from ckpt_convert.families.model import model_of_config
from ckpt_convert.tensors import Dtype
from harness.config.releases import Release
from harness.errors import ConfigError


def written(name: str, release: Release | None, spec: Literal["te", "local"] = "te") -> MegatronBlueprint:
    """A tiny model's blueprint."""
    model = model_of_config(tiny(name), "config.json")
    exact = Exact(release=release, spec=spec) if release else None
    return to_megatron(model, infos(model.table().shapes()), dtype=Dtype.BF16, where="here", exact=exact)


def layer(names: tuple[str, ...] | set[str], prefix: str) -> set[str]:
    """What a layer has outside its experts, without its prefix."""
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix) and ".experts." not in name}


def tensors(blueprint: MegatronBlueprint, prefix: str) -> set[str]:
    """Tensors of one layer."""
    return layer({tensor.name for tensor in blueprint.tensors}, prefix)


def test_transformer_engine_fuses_the_norms_of_latent_attention() -> None:
    assert tensors(written("DeepSeek-V3", Release(0, 19)), "decoder.layers.0.") == {
        "input_layernorm.weight",
        "self_attention.linear_q_down_proj.weight",
        "self_attention.linear_q_up_proj.layer_norm_weight",
        "self_attention.linear_q_up_proj.weight",
        "self_attention.linear_kv_down_proj.weight",
        "self_attention.linear_kv_up_proj.layer_norm_weight",
        "self_attention.linear_kv_up_proj.weight",
        "self_attention.linear_proj.weight",
        "mlp.linear_fc1.layer_norm_weight",
        "mlp.linear_fc1.weight",
        "mlp.linear_fc2.weight",
    }


def test_grouped_attention_differs_by_spec_in_the_norm_before_experts_alone() -> None:
    te, local = (tensors(written("Mixtral", Release(0, 14), spec), "decoder.layers.1.") for spec in ("te", "local"))
    assert te - local == {"pre_mlp_layernorm.weight"}
    assert local - te == {"mlp.linear_fc1.layer_norm_weight"}


@pytest.mark.parametrize(
    ("release", "in_layers", "in_mtp"),
    [(Release(0, 14), True, True), (Release(0, 16), False, True), (Release(0, 17), False, False)],
)
def test_core_attention_has_an_extra_state_in_older_releases(release: Release, in_layers: bool, in_mtp: bool) -> None:
    objects = set(written("DeepSeek-V3", release).objects)
    assert ("decoder.layers.0.self_attention.core_attention._extra_state/shard_0_1" in objects) == in_layers
    inside = "mtp.layers.0.transformer_layer.self_attention.core_attention._extra_state/shard_0_1"
    assert (inside in objects) == in_mtp


def test_objects_of_a_layer() -> None:
    x = "._extra_state/shard_0_1"
    linear = {f"self_attention.linear_qkv{x}", f"self_attention.linear_proj{x}"}
    assert layer(written("Mixtral", Release(0, 19), "local").objects, "decoder.layers.0.") == linear
    assert layer(written("Mixtral", Release(0, 19)).objects, "decoder.layers.0.") == linear | {f"pre_mlp_layernorm{x}"}
    experts = [name for name in written("Mixtral", None).objects if name.startswith("decoder.layers.0.mlp.experts.")]
    assert experts == [
        f"decoder.layers.0.mlp.experts.experts.{part}._extra_state/shard_{expert}_4"
        for part in ("linear_fc1", "linear_fc2")
        for expert in range(4)
    ]


def test_the_universal_layout_holds_every_exact_one() -> None:
    universal = written("DeepSeek-V3", None)
    names = {tensor.name for tensor in universal.tensors} | {n for more in universal.aliases.values() for n in more}
    for release in [Release(0, minor) for minor in range(11, 20)]:
        for spec in ("te", "local"):
            exact = written("DeepSeek-V3", release, spec)
            assert {tensor.name for tensor in exact.tensors} <= names
            assert set(exact.objects) <= set(universal.objects)
            assert not exact.aliases


def test_a_release_without_multi_token_prediction_gets_none() -> None:
    assert not tensors(written("DeepSeek-V3", Release(0, 11)), "mtp.")
    assert tensors(written("DeepSeek-V3", Release(0, 12)), "mtp.")


def test_a_release_that_cannot_build_the_model_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Megatron 0\.15 has no gate for shared experts"):
        written("Qwen2-MoE", Release(0, 15))
    with pytest.raises(ConfigError, match=r"Megatron 0\.19 wants a norm of the query"):
        written("DeepSeek-V2-Lite", Release(0, 19))
    assert written("DeepSeek-V2-Lite", Release(0, 19), "local").tensors

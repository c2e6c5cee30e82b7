"""Megatron's saved arguments → the model, without a record beside the checkpoint."""

import json
from typing import Any

import pytest
from family_configs import PUBLISHED, TINY, infos, published, tiny

from ckpt_convert.families.blueprints import to_hugging_face, to_megatron
from ckpt_convert.families.model import model_of_config, model_of_megatron
from ckpt_convert.families.namespace import namespace_of
from ckpt_convert.tensors import Dtype, TensorInfo
from harness.config.megatron_args import MegatronArgs
from harness.config.releases import load
from harness.errors import ConfigError

MODELS = {name: published(name) for name in PUBLISHED} | {f"{name}, tiny": tiny(name) for name in TINY}
EMBEDDING = "embedding.word_embeddings.weight"


def saved(flags: MegatronArgs, release: str, **changes: Any) -> dict[str, Any]:
    """What a release of Megatron saves for a run with these flags: every argument it has, with its default."""
    catalogue = load(release)
    args: dict[str, Any] = {}
    for option in catalogue.options.values():
        off = {"store_true": False, "store_false": True}.get(option.action)
        args.setdefault(option.dest, option.default if off is None else off)
    ours = namespace_of(flags)
    return args | {name: value for name, value in ours.items() if name in args} | changes


def embedding(rows: int, hidden: int = 48) -> dict[str, TensorInfo]:
    """The one tensor that the model is told from."""
    return infos({EMBEDDING: (rows, hidden)})


@pytest.mark.parametrize("release", ["0.12", "0.13", "0.16", "0.19"])
@pytest.mark.parametrize("name", MODELS)
def test_the_flags_come_back(name: str, release: str) -> None:
    model = model_of_config(MODELS[name], "config.json")
    if "--moe-shared-expert-gate" in model.flags and release < "0.16":
        pytest.skip("that release cannot build the model")
    args = saved(model.flags, release)
    rebuilt = model_of_megatron(args, embedding(400_000), "iter_0000010", None)
    assert rebuilt.family == model.family
    ignored = {"--rope-type", "--make-vocab-size-divisible-by"}
    assert {k: v for k, v in rebuilt.flags.items() if k not in ignored} == {
        k: v for k, v in model.flags.items() if k not in ignored
    }


def test_the_default_of_mscale_all_dim_comes_back() -> None:
    """Where it was not given, Megatron takes 0 for it; transformers then knows no mscale at all."""
    args = saved(model_of_config(tiny("DeepSeek-V3"), "config.json").flags, "0.19", mscale_all_dim=None)
    rebuilt = model_of_megatron(args, embedding(300), "here", None)
    assert (rebuilt.flags["--mscale"], rebuilt.flags["--mscale-all-dim"]) == ("1.0", "0.0")


@pytest.mark.parametrize("name", TINY)
def test_transformers_loads_the_config_that_was_made_of_them(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    model = model_of_config(tiny(name), "config.json")
    shapes = {rule.key: rule.shape for rule in model.table().rules}
    rebuilt = model_of_megatron(saved(model.flags, "0.19"), infos(shapes), "iter_0000010", None)
    written = to_hugging_face(rebuilt, infos(shapes), dtype=Dtype.BF16, where="iter_0000010").config
    config = transformers.AutoConfig.for_model(**json.loads(json.dumps(written)))
    assert type(config).__name__.removesuffix("Config") in rebuilt.kind.architecture
    assert model_of_config(config.to_dict(), "config.json").flags == rebuilt.flags


def test_the_record_wins() -> None:
    model = model_of_config(tiny("Mixtral", bos_token_id=7), "config.json")
    record = to_megatron(model, infos(model.table().shapes()), dtype=Dtype.BF16, where="here").record
    assert record is not None
    assert model_of_megatron({}, {}, "release", record) == model
    assert dict(record.flags) == dict(model.flags)


@pytest.mark.parametrize(
    ("release", "tokenizer", "tokens"),
    [
        ("0.17", "NullTokenizer", 301),  # its vocabulary and the end of a document
        ("0.18", "NullTokenizer", 300),
        ("0.17", "HuggingFaceTokenizer", 300),
    ],
)
def test_padding_is_no_part_of_the_vocabulary(release: str, tokenizer: str, tokens: int) -> None:
    model = model_of_config(tiny("Mixtral"), "config.json")
    args = saved(model.flags, release, tokenizer_type=tokenizer)
    assert model_of_megatron(args, embedding(512), "here", None).config["vocab_size"] == tokens
    assert model_of_megatron(args, embedding(300), "here", None).config["vocab_size"] == 300
    assert model_of_megatron(args | {"vocab_size": None}, embedding(512), "here", None).config["vocab_size"] == 512


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"moe_router_pre_softmax": True}, "here: it was trained with --moe-router-pre-softmax on, and Mixtral"),
        ({"rotary_percent": 0.5}, "--rotary-percent '0.5', and MixtralForCausalLM of transformers has '1' here"),
        ({"add_bias_linear": True}, "--disable-bias-linear off"),
        ({"num_experts": None}, "here: the arguments saved in it do not say --num-experts"),
        ({"qk_layernorm": True}, "--qk-layernorm on"),
    ],
)
def test_a_network_that_no_family_has_is_refused(changes: dict[str, Any], message: str) -> None:
    args = saved(model_of_config(tiny("Mixtral"), "config.json").flags, "0.19", **changes)
    with pytest.raises(ConfigError) as error:
        model_of_megatron(args, embedding(300), "here", None)
    assert message in str(error.value)


def test_a_qwen2_without_the_gate_is_told_of_the_gate() -> None:
    """As every release before 0.16 saves it."""
    flags = dict(model_of_config(tiny("Qwen2-MoE"), "config.json").flags)
    del flags["--moe-shared-expert-gate"]
    with pytest.raises(ConfigError) as error:
        model_of_megatron(saved(MegatronArgs(flags), "0.15"), embedding(300), "here", None)
    (problem,) = error.value.problems
    assert "--moe-shared-expert-gate off, and Qwen2MoeForCausalLM of transformers has on here" in problem


def test_every_attribute_is_of_a_type_that_every_release_may_load() -> None:
    for name in PUBLISHED:
        attributes = namespace_of(model_of_config(published(name), "config.json").flags)
        assert {type(value) for value in attributes.values()} <= {int, float, bool, str, list}
        assert attributes["add_bias_linear"] is False
        assert attributes["norm_epsilon"] == attributes["layernorm_epsilon"] == published(name)["rms_norm_eps"]

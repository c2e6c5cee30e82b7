"""Counts against the parameters of models that Megatron builds: every shipped family, small, with and without MTP."""

import json
from pathlib import Path

import pytest
from whole_models import ask_each

from harness.arch.model import model_arch
from harness.arch.parameters import count_parameters, parameter_groups
from harness.config.megatron_args import ArgValue, MegatronArgs

HERE = Path(__file__).parent
FLAGS = json.loads((HERE / "published_flags.json").read_text())

# Odd sizes, so that no two of them can stand in for each other.
SMALL: dict[str, str] = {
    "--hidden-size": "48",
    "--ffn-hidden-size": "80",
    "--moe-ffn-hidden-size": "56",
    "--num-attention-heads": "6",
    "--num-query-groups": "3",
    "--kv-channels": "16",
    "--q-lora-rank": "20",
    "--kv-lora-rank": "12",
    "--qk-head-dim": "10",
    "--qk-pos-emb-head-dim": "8",
    "--v-head-dim": "14",
    "--moe-shared-expert-intermediate-size": "72",
    "--num-experts": "16",
    "--moe-router-topk": "4",
    "--moe-router-num-groups": "4",
    "--moe-router-group-topk": "2",
    "--num-layers": "3",
    "--vocab-size": "300",
}


def small(name: str, **changes: ArgValue) -> MegatronArgs:
    """The family of a published model at small sizes; only sizes that it has are set."""
    flags: dict[str, ArgValue] = {**FLAGS[name], **{key: size for key, size in SMALL.items() if key in FLAGS[name]}}
    if "--moe-layer-freq" in flags:
        flags["--moe-layer-freq"] = "([0]*1+[1]*2)"
    return MegatronArgs({**flags, **{f"--{key.replace('_', '-')}": value for key, value in changes.items()}})


MODELS = {name: small(name) for name in FLAGS}
MODELS["DeepSeek-V3 with MTP"] = small("DeepSeek-V3", mtp_num_layers="2")
MODELS["Mixtral with MTP"] = small("Mixtral-8x7B", mtp_num_layers="1")
MODELS["tied"] = small("Mixtral-8x7B", untie_embeddings_and_output_weights=False)
MODELS["learned positions"] = small("Mixtral-8x7B", position_embedding_type="learned_absolute")
MODELS["biases"] = small("Mixtral-8x7B", disable_bias_linear=False)
MODELS["query and key norms"] = small("Qwen2-57B-A14B", qk_layernorm=True)
MODELS["no SwiGLU"] = small("Mixtral-8x7B", swiglu=False)
MODELS["multi-head attention"] = small("Mixtral-8x7B", group_query_attention=False)


@pytest.fixture(scope="module")
def built() -> dict[str, dict[str, int]]:
    """What Megatron builds of each of `MODELS`."""
    return dict(
        zip(MODELS, ask_each(HERE / "built_by_megatron.py", [it.argv() for it in MODELS.values()]), strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_that_megatron_builds_is_counted(name: str, built: dict[str, dict[str, int]]) -> None:
    arch = model_arch(MODELS[name], name)
    assert count_parameters(arch).total == sum(built[name].values())


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_outside_the_experts_has_its_size(name: str, built: dict[str, dict[str, int]]) -> None:
    groups = parameter_groups(model_arch(MODELS[name], name))
    ours = sorted(group.total for place, group in groups.items() if ".experts." not in place)
    theirs = sorted(count for place, count in built[name].items() if ".mlp.experts" not in place)
    assert ours == theirs

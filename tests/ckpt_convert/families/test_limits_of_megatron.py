"""What Megatron cannot represent, said for the releases that it is true of."""

import pytest
from family_configs import PUBLISHED, published, tiny

from ckpt_convert.families.limits import limits
from ckpt_convert.families.model import model_of_config
from harness.config.releases import known

YARN = {"type": "yarn", "factor": 40, "mscale": 1.0, "mscale_all_dim": 0.5, "original_max_position_embeddings": 8192}


@pytest.mark.parametrize(
    ("name", "word", "releases"),
    [
        ("DeepSeek-V2", "GROUP_SCORE=max", tuple(map(str, known()))),
        ("DeepSeek-V2-Lite", "linear_q_proj.layer_norm_weight", ("0.19",)),
        ("Qwen2-57B-A14B", "--moe-shared-expert-gate", ("0.11", "0.12", "0.13", "0.14", "0.15")),
    ],
)
def test_published_models(name: str, word: str, releases: tuple[str, ...]) -> None:
    (limit,) = limits(model_of_config(published(name), "config.json"))
    assert word in limit.text
    assert limit.releases == releases


def test_deepseek_v3_in_early_releases() -> None:
    bias, mtp = limits(model_of_config(published("DeepSeek-V3"), "config.json"))
    assert "rounded to bf16" in bias.text
    assert bias.releases == ("0.11", "0.12", "0.13")
    assert "multi-token prediction" in mtp.text
    assert mtp.releases == ("0.11",)


def test_mixtral_has_none() -> None:
    for name in PUBLISHED:
        if name.startswith("Mixtral"):
            assert limits(model_of_config(published(name), "config.json")) == ()


def test_groups_that_give_one_expert_each_are_scored_alike() -> None:
    model = model_of_config(tiny("DeepSeek-V2", num_experts_per_tok=2), "config.json")
    assert limits(model) == ()


def test_yarn_by_release() -> None:
    model = model_of_config(tiny("DeepSeek-V2", num_experts_per_tok=2, rope_scaling=YARN), "config.json")
    length, scale = limits(model)
    assert "fixed at 4096, and this model's is 8192" in length.text
    assert "--mscale-all-dim" in scale.text
    assert {*length.releases, *scale.releases} == set(map(str, known()))
    assert scale.releases[-1] == "0.13"

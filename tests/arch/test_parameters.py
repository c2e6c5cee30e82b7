"""Counts against the figures that publishers print, and by hand where a part is small enough to check by eye."""

import json
from pathlib import Path

import pytest

from harness.arch.model import ModelArch, model_arch
from harness.arch.parameters import MEGATRON, Convention, count_parameters, parameter_groups, published_parameters
from harness.config.megatron_args import MegatronArgs
from harness.errors import ConfigError

# Flags of the models' published configurations (Hugging Face config.json).
FLAGS = json.loads(Path(__file__).with_name("published_flags.json").read_text())

# Billions, as printed in the model cards and reports: total, active, decimals.
PUBLISHED = {
    "DeepSeek-V3": (671, 37, 0),
    "DeepSeek-V2": (236, 21, 0),
    "DeepSeek-V2-Lite": (15.7, 2.4, 1),
    "Mixtral-8x7B": (46.7, 12.9, 1),
    "Mixtral-8x22B": (141, 39, 0),
    "Qwen2-57B-A14B": (57.4, 14.2, 1),
    "Qwen3-30B-A3B": (30.5, 3.3, 1),
    "Qwen3-235B-A22B": (235, 22, 0),
    "Kimi-K2": (1026, 32, 0),
    "Moonlight-16B-A3B": (16, 3, 0),
}


def arch(name: str, **changes: str | bool) -> ModelArch:
    """A published model, some flags changed (`mtp_num_layers="1"`)."""
    flags = {f"--{key.replace('_', '-')}": value for key, value in changes.items()}
    return model_arch(MegatronArgs({**FLAGS[name], **flags}), name)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures(name: str) -> None:
    total, active, decimals = PUBLISHED[name]
    count = published_parameters(arch(name))
    assert round(count.total / 1e9, decimals) == total
    assert round(count.active / 1e9, decimals) == active


def test_each_figure_names_its_convention() -> None:
    count = published_parameters(arch("DeepSeek-V3"))
    assert str(count.total_counts) == "with input embedding, output layer, router; without MTP; published vocabulary"
    assert str(count.active_counts) == "with output layer; without input embedding, router, MTP; published vocabulary"


@pytest.mark.parametrize(
    ("name", "on_the_hub", "router_biases"),
    [
        ("DeepSeek-V3", 671_026_419_200, 58 * 256),
        ("Kimi-K2", 1_026_408_232_448, 60 * 384),
        ("Qwen3-30B-A3B", 30_532_122_624, 0),
        ("Qwen3-235B-A22B", 235_093_634_560, 0),
    ],
)
def test_total_equals_the_sum_of_the_published_tensors(name: str, on_the_hub: int, router_biases: int) -> None:
    # The Hub's sum has e_score_correction_bias, a buffer in Megatron; DeepSeek-V3's is without its MTP module.
    assert published_parameters(arch(name)).total == on_the_hub - router_biases


def test_moonlights_paper_leaves_out_both_embedding_tables() -> None:
    count = count_parameters(arch("Moonlight-16B-A3B"), Convention(input_embedding=False, output_layer=False))
    assert (round(count.total / 1e9, 2), round(count.active / 1e9, 2)) == (15.29, 2.24)


def test_mtp_adds_one_layer_three_norms_and_a_projection() -> None:
    plain, with_mtp = arch("DeepSeek-V3"), arch("DeepSeek-V3", mtp_num_layers="1")
    layer = sum(weight.total for weight in plain.layers[-1].weights(7168, plain.norm))
    added = count_parameters(with_mtp).total - count_parameters(plain).total
    assert added == layer + 3 * 7168 + 2 * 7168 * 7168


def test_vocabulary_is_padded_to_128_times_tp() -> None:
    assert arch("DeepSeek-V3").padded_vocab_size == 129_280
    assert arch("DeepSeek-V3", tensor_model_parallel_size="16").padded_vocab_size == 131_072
    assert arch("Mixtral-8x7B", make_vocab_size_divisible_by="1").padded_vocab_size == 32_000
    assert arch("Mixtral-8x7B", padded_vocab_size="32064").padded_vocab_size == 32_064
    unpadded = arch("Mixtral-8x7B", vocab_size="32001", no_pad_vocab_size=True)
    assert unpadded.padded_vocab_size == 32_001


def test_padding_counts_only_where_the_convention_says_so() -> None:
    model = arch("DeepSeek-V3", tensor_model_parallel_size="16")
    unpadded = count_parameters(model, MEGATRON._replace(padded_vocab=False))
    assert count_parameters(model, MEGATRON).total - unpadded.total == 2 * (131_072 - 129_280) * 7168


def test_tied_embeddings_are_counted_once() -> None:
    tied = arch("Mixtral-8x7B", untie_embeddings_and_output_weights=False)
    assert count_parameters(arch("Mixtral-8x7B")).total - count_parameters(tied).total == 32_000 * 4096
    output_only = Convention(input_embedding=False)
    assert count_parameters(tied, output_only).total == count_parameters(tied, Convention()).total


def test_groups_sum_to_the_total_and_name_each_tensor() -> None:
    model = arch("Qwen2-57B-A14B")
    groups = parameter_groups(model)
    assert sum(weight.total for weight in groups.values()) == count_parameters(model, MEGATRON).total
    assert groups["decoder.layers.0.experts.linear_fc1"].total == 64 * 2 * 2560 * 3584
    assert groups["decoder.layers.0.experts.linear_fc1"].active == 8 * 2 * 2560 * 3584
    assert groups["decoder.layers.27.shared_experts.gate"].total == 3584
    assert groups["decoder.layers.27.linear_qkv"].total == (28 + 2 * 4) * 128 * (3584 + 1)


def test_missing_and_unmodelled_flags_are_named() -> None:
    flags = {key: value for key, value in FLAGS["Mixtral-8x7B"].items() if key != "--vocab-size"}
    with pytest.raises(ConfigError) as error:
        model_arch(MegatronArgs({**flags, "--moe-latent-size": "64"}))
    assert error.value.problems == (
        "--vocab-size is missing: the network's shape needs it",
        "--moe-latent-size changes the network in a way that is not counted; leave it out",
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"hidden_size": "nan"}, "--hidden-size nan is no size; write a whole number of 1 or more"),
        ({"num_layers": "0"}, "--num-layers 0 is no size; write a whole number of 1 or more"),
        ({"num_experts": "-8"}, "--num-experts -8 is no size; write a whole number of 1 or more"),
        ({"ffn_hidden_size": "1.5"}, "--ffn-hidden-size 1.5 is no size; write a whole number of 1 or more"),
        ({"mtp_num_layers": "-1"}, "--mtp-num-layers -1 is no size; write a whole number of 0 or more"),
        ({"num_query_groups": "5"}, "--num-query-groups 5 does not divide --num-attention-heads 32"),
        ({"moe_router_topk": "9"}, "--moe-router-topk 9 asks for more experts than --num-experts 8"),
        ({"padded_vocab_size": "31999"}, "--padded-vocab-size 31999 is smaller than --vocab-size 32000"),
    ],
)
def test_impossible_and_contradictory_sizes_are_named(changes: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        arch("Mixtral-8x7B", **changes)
    assert error.value.problems == (problem,)


def test_heads_that_do_not_divide_the_hidden_size_need_a_size() -> None:
    flags = {key: value for key, value in FLAGS["Mixtral-8x7B"].items() if key != "--kv-channels"}
    odd = {**flags, "--num-attention-heads": "24", "--num-query-groups": "8"}
    with pytest.raises(ConfigError, match="--num-attention-heads 24 does not divide --hidden-size 4096"):
        model_arch(MegatronArgs(odd))
    assert model_arch(MegatronArgs({**odd, "--kv-channels": "128"})).layers[0].attention.heads == 24


def test_learned_positions_need_a_number() -> None:
    left_out = ("--position-embedding-type", "--max-position-embeddings")
    flags = {key: value for key, value in FLAGS["Mixtral-8x7B"].items() if key not in left_out}
    with pytest.raises(ConfigError, match="--max-position-embeddings is missing: learned positions need it"):
        model_arch(MegatronArgs(flags))

"""Counts against the figures that publishers print, and by hand where a part is small enough to check by eye."""

import json
from dataclasses import replace
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


def test_deepseek_v3_without_mtp_equals_the_sum_of_its_published_tensors() -> None:
    # The Hub's tensors sum to 671,026,419,200 with the 58·256 of e_score_correction_bias, a buffer in Megatron.
    assert published_parameters(arch("DeepSeek-V3")).total == 671_026_419_200 - 58 * 256


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
    unpadded = count_parameters(model, replace(MEGATRON, padded_vocab=False))
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

"""Operations against Megatron's own counter, in the release that is installed."""

import argparse
import json
from pathlib import Path

import pytest

from harness.arch.model import model_arch
from harness.config.megatron_args import MegatronArgs
from harness.cost.flops import megatron_flops_per_step, megatron_flops_per_token

FLAGS = json.loads((Path(__file__).parents[1] / "arch" / "published_flags.json").read_text())


def megatron_counts(args: MegatronArgs, sequences: int) -> float:
    """`num_floating_point_operations` on what Megatron's own parser makes of these flags."""
    arguments = pytest.importorskip("megatron.training.arguments")
    training = pytest.importorskip("megatron.training.training")
    parser = argparse.ArgumentParser(allow_abbrev=False)
    arguments.add_megatron_arguments(parser)
    namespace = parser.parse_args(args.argv())
    namespace.padded_vocab_size = model_arch(args).padded_vocab_size
    return training.num_floating_point_operations(namespace, sequences)


@pytest.mark.parametrize("mtp", ["0", "1", "2"])
@pytest.mark.parametrize("name", FLAGS)
def test_equal_to_megatrons_counter(name: str, mtp: str) -> None:
    args = MegatronArgs({**FLAGS[name], **({"--mtp-num-layers": mtp} if mtp != "0" else {})})
    arch = model_arch(args, name)
    assert megatron_flops_per_step(arch, sequences=1, seq_len=4096) == megatron_counts(args, 1)


def test_a_whole_batch_is_equal_to_the_precision_of_a_float() -> None:
    # Megatron sums in floats; ours is the exact whole number.
    args = MegatronArgs(FLAGS["DeepSeek-V3"])
    ours = megatron_flops_per_step(model_arch(args), sequences=8192, seq_len=4096)
    assert ours == pytest.approx(megatron_counts(args, 8192), rel=4e-16)


@pytest.mark.parametrize(
    "changes",
    [
        {"--moe-layer-freq": "2"},
        {"--swiglu": False},
        {"--tensor-model-parallel-size": "8", "--vocab-size": "32001"},
        {"--seq-length": "131072", "--max-position-embeddings": "131072"},
        {"--num-query-groups": "32"},
    ],
)
def test_equal_with_other_shapes(changes: dict[str, str | bool]) -> None:
    args = MegatronArgs({**FLAGS["Mixtral-8x7B"], **changes})
    seq_len = args.integer("--seq-length")
    counted = megatron_flops_per_step(model_arch(args), sequences=1, seq_len=seq_len)
    assert counted == pytest.approx(megatron_counts(args, 1), rel=4e-16)


def test_per_token() -> None:
    arch = model_arch(MegatronArgs(FLAGS["DeepSeek-V3"]))
    per_token = megatron_flops_per_token(arch, seq_len=4096)
    assert per_token == megatron_flops_per_step(arch, sequences=3, seq_len=4096) / (3 * 4096)
    assert per_token == pytest.approx(6 * 36.5e9, rel=0.15)  # the rule of thumb, plus attention's scores

"""Operations against Megatron's own counter, in the release that is installed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from megatron_counter import megatron_counts

from harness.arch.model import model_arch
from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import Resolved
from harness.cost.flops import (
    hardware_flops_per_step,
    megatron_flops_per_step,
    megatron_flops_per_token,
    model_flops_per_step,
)
from harness.cost.training import Recompute
from harness.cost.training_flags import training

FLAGS = json.loads((Path(__file__).parents[1] / "arch" / "published_flags.json").read_text())


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


@pytest.mark.parametrize("mtp", ["1", None])
@pytest.mark.parametrize("name", FLAGS)
def test_equal_for_every_shipped_model_as_resolved(
    name: str, mtp: str | None, resolve: Callable[..., Resolved]
) -> None:
    resolved = resolve(f"MODEL={name}", "PROXY=none", "DATASET=mock", "PRETRAIN=1", cluster="template").megatron_args
    plain = {flag: value for flag, value in resolved.items() if flag != "--mtp-num-layers"}
    args = MegatronArgs({**plain, **({"--mtp-num-layers": mtp} if mtp else {})})
    seq_len = args.integer("--seq-length")
    assert megatron_flops_per_step(model_arch(args), sequences=1, seq_len=seq_len) == megatron_counts(args, 1)


def test_model_flops_differ_from_megatrons_by_what_their_convention_says() -> None:
    args = MegatronArgs({**FLAGS["DeepSeek-V3"], "--mtp-num-layers": "1", "--tensor-model-parallel-size": "16"})
    arch, seq_len = model_arch(args), 4096
    router = 59 * 256 * 7168
    norms = 62 * (1536 + 512) + 3 * 7168
    padding = 2 * (131_072 - 129_280) * 7168
    diagonal = 62 * 128 * (192 + 128)  # each token's pair with itself, of which half lies beyond half the square
    expected = 6 * seq_len * (router - norms - padding) + 3 * seq_len * diagonal
    megatron = megatron_flops_per_step(arch, sequences=1, seq_len=seq_len)
    assert model_flops_per_step(arch, sequences=1, seq_len=seq_len) - megatron == expected


def test_model_flops_count_the_gate_of_shared_experts() -> None:
    gated, plain = (
        model_arch(MegatronArgs({**FLAGS["Qwen2-57B-A14B"], "--moe-shared-expert-gate": gate}))
        for gate in (True, False)
    )
    counts = [model_flops_per_step(arch, sequences=2, seq_len=64) for arch in (gated, plain)]
    assert counts[0] - counts[1] == 6 * 2 * 64 * 28 * 3584


TOKENS, PAIRS = 4 * 64, 4 * 64 * 65 // 2
SCORES, CORE = 28 * 128, 28 * 2 * 128
SHARED, ROUTED, ROUTER = 3 * 3584 * 20480, 8 * 3 * 3584 * 2560, 64 * 3584
LAYER = 3584 * (28 + 2 * 4) * 128 + 28 * 128 * 3584 + SHARED + 3584 + ROUTED + ROUTER


@pytest.mark.parametrize(
    ("recompute", "again"),
    [
        (Recompute(), 0),
        (Recompute(granularity="full"), 28 * (TOKENS * LAYER + PAIRS * CORE)),
        (Recompute(granularity="full", method="block", layers=3), 2 * 3 * (TOKENS * LAYER + PAIRS * CORE)),
        (Recompute(granularity="selective", modules=frozenset({"core_attn"})), 28 * PAIRS * CORE),
        (Recompute(granularity="selective", modules=frozenset({"moe_act", "layernorm", "mlp"})), 0),
        (
            Recompute(granularity="selective", modules=frozenset({"moe"})),
            28 * TOKENS * (SHARED + 3584 + ROUTED + ROUTER),
        ),
        (Recompute(granularity="selective", modules=frozenset({"shared_experts"})), 28 * TOKENS * (SHARED + 3584)),
    ],
)
def test_hardware_flops_add_what_is_computed_again(recompute: Recompute, again: int) -> None:
    flags = {"--pipeline-model-parallel-size": "2", "--micro-batch-size": "1", "--global-batch-size": "4"}
    job = training(MegatronArgs({**FLAGS["Qwen2-57B-A14B"], **flags, "--seq-length": "64"}), 2)
    model = model_flops_per_step(replace(job.arch, vocab_size=job.arch.padded_vocab_size), sequences=4, seq_len=64)
    flash = 28 * PAIRS * SCORES
    assert hardware_flops_per_step(replace(job, recompute=recompute)) == model + 2 * (flash + again)


def test_up_projections_are_computed_again_with_or_without_a_query_rank() -> None:
    def again(name: str) -> int:
        job = training(MegatronArgs({**FLAGS[name], "--micro-batch-size": "1", "--seq-length": "64"}), 1)
        up = Recompute(granularity="selective", modules=frozenset({"mla_up_proj"}))
        return hardware_flops_per_step(replace(job, recompute=up)) - hardware_flops_per_step(job)

    assert again("DeepSeek-V3") == 2 * 64 * 61 * 128 * (1536 * 192 + 512 * 256)
    assert again("DeepSeek-V2-Lite") == 2 * 64 * 27 * 16 * (2048 * 192 + 512 * 256)

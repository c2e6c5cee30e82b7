"""Every parallel mapping trains as one rank does: the loss curves from one checkpoint are the same."""

from pathlib import Path
from typing import Any

import pytest
from engine_jobs import Curve
from engine_models import GROUPED_GEMM, GROUPED_QUERY, LATENT, ON_CPU, TRAINING

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4
TP2 = ("--tensor-model-parallel-size", "2", "--sequence-parallel")  # MoE under TP wants SP
PP2 = ("--pipeline-model-parallel-size", "2")
VPP2 = ("--num-virtual-stages-per-pipeline-rank", "2")
EP2 = ("--expert-model-parallel-size", "2")
CP2 = ("--context-parallel-size", "2")
ETP1, ETP2 = (("--expert-tensor-parallel-size", size) for size in ("1", "2"))
SHARDED = ("--use-distributed-optimizer",)

# Each is a world size and the mapping's arguments. Unless given, ETP is TP.
MAPPINGS = {
    "TP2": (2, (*TP2, *ETP1)),
    "TP2·ETP2": (2, (*TP2, *ETP2)),
    "TP2·EP2": (2, (*TP2, *EP2, *ETP1)),
    "PP2": (2, PP2),
    "PP2·VPP2": (2, (*PP2, *VPP2)),
    "EP2": (2, (*EP2, *SHARDED)),
    "CP2": (2, CP2),
    "CP2·EP2": (2, (*CP2, *EP2)),
    "TP2·EP2 on 4": (4, (*TP2, *EP2, *ETP1, *SHARDED)),
    "TP2·ETP2·EP2 on 4": (4, (*TP2, *EP2, *ETP2)),
    "PP2·EP2 on 4": (4, (*PP2, *EP2)),
    "PP2·TP2 on 4": (4, (*PP2, *TP2)),
}


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_latent_attention_model(latent: Any, mapping: str) -> None:
    """MLA, a dense first layer, routing groups with expert bias, shared experts and MTP."""
    world_size, argv = MAPPINGS[mapping]
    task = "train_with_mtp_mean_over_all_tokens" if "CP2" in mapping else "train"
    assert_same(latent.run(*argv, world_size=world_size, task=task).curve, latent.curve)


@pytest.mark.parametrize("mapping", ["TP2", "PP2·VPP2", "EP2", "CP2", "TP2·EP2 on 4"])
def test_grouped_query_model(grouped_query: Any, mapping: str) -> None:
    """GQA with biases and normed heads, softmax before top-k, and a gated shared expert."""
    world_size, argv = MAPPINGS[mapping]
    assert_same(grouped_query.run(*argv, world_size=world_size).curve, grouped_query.curve)


def test_latent_attention_without_query_rank(ranks: Any) -> None:
    """DeepSeek-V2-Lite: Megatron 0.19's own spec cannot build it, for it wants a norm of the queries."""
    at = LATENT.index("--q-lora-rank")
    curve = ranks.run(*ON_CPU, *TRAINING, *LATENT[:at], *LATENT[at + 2 :], *GROUPED_GEMM, *EP2, world_size=2).curve
    assert curve.loss[0] - curve.loss[-1] > 0.1


@pytest.mark.parametrize("model", ["latent", "grouped_query"])
def test_sequential_experts_agree(request: pytest.FixtureRequest, model: str) -> None:
    """Megatron's own experts, one after the other, load what the grouped ones saved and train alike."""
    base = request.getfixturevalue(model)
    assert_same(base.run(world_size=1, experts=()).curve, base.curve)
    assert_same(base.run(*EP2, world_size=2, experts=()).curve, base.curve)


def test_fused_swiglu_agrees(latent: Any) -> None:
    """Megatron's fused SwiGLU, which multiplies by the router's probabilities too."""
    fused = [word for word in ON_CPU if word != "--no-bias-swiglu-fusion"]
    training = (*TRAINING, "--load", str(latent.checkpoint), "--finetune", "--no-load-optim", "--no-load-rng")
    assert_same(latent.ranks.run(*fused, *training, *latent.model, *GROUPED_GEMM).curve, latent.curve)


@pytest.mark.parametrize("initialization", [(), ("--use-cpu-initialization",)])
def test_one_seed_gives_the_same_experts(ranks: Any, initialization: tuple[str, ...]) -> None:
    """Grouped and sequential experts begin with the same weights; the first gradient norm shows it."""
    argv = (*ON_CPU, *TRAINING, *GROUPED_QUERY, *initialization, *TP2, "--train-iters", "1")
    assert_same(ranks.run(*argv, *GROUPED_GEMM, world_size=2).curve, ranks.run(*argv, world_size=2).curve)


def test_attention_to_local_keys_is_told_apart(latent: Any) -> None:
    """The mistake these tests are for: under CP a plain attention runs, and the curve shows it."""
    wrong = latent.run(*CP2, world_size=2, task="train_with_local_attention_only").curve
    assert max(abs(a - b) for a, b in zip(wrong.loss, latent.curve.loss, strict=True)) > 10 * TOLERANCE


@pytest.mark.parametrize(
    ("saved_on", "loaded_on", "layout"),
    [
        # ETP=1 keeps the experts in an optimizer of their own, as EP=2 has it: Megatron loads as many as were saved.
        pytest.param(EP2, (*TP2, *ETP1), ("--dist-ckpt-optim-fully-reshardable",), id="EP2 to TP2"),
        pytest.param(EP2, EP2, (), id="EP2 to EP2"),
    ],
)
def test_saved_run_continues(
    latent: Any, tmp_path: Path, saved_on: tuple[str, ...], loaded_on: tuple[str, ...], layout: tuple[str, ...]
) -> None:
    """Weights, optimizer and expert bias go on where they stopped, under the same mapping or another."""
    saving = ("--save", str(tmp_path), "--save-interval", "5", "--exit-interval", "5")
    first = latent.run(*saved_on, *SHARDED, *layout, *saving, world_size=2).curve
    assert first.iterations == (1, 2, 3, 4, 5)
    loading = ("--load", str(tmp_path), "--no-load-rng")
    argv = (*ON_CPU, *TRAINING, *latent.model, *GROUPED_GEMM, *loading, *loaded_on, *SHARDED, *layout)
    rest = latent.ranks.run(*argv, world_size=2).curve
    assert rest.iterations == (6, 7, 8, 9, 10)
    assert rest.loss[0] == pytest.approx(latent.curve.loss[5], abs=TOLERANCE)
    # Megatron counts its first line after loading into the losses of the second again.
    assert_same(rest.since(7), latent.curve.since(7))


def assert_same(found: Curve, expected: Curve) -> None:
    """The same iterations and losses; gradient norms too, for Adam hides a wrong scale of the gradients."""
    assert found.iterations == expected.iterations
    assert found.loss == pytest.approx(expected.loss, abs=TOLERANCE, rel=0)
    assert found.mtp_loss == pytest.approx(expected.mtp_loss, abs=TOLERANCE, rel=0)
    assert found.grad_norm == pytest.approx(expected.grad_norm, abs=2e-3, rel=0)

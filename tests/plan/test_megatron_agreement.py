"""Our verdict against Megatron's own on random configurations, both ways: neither too lax nor too strict."""

import random

import pytest

from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.plan.constraints import check
from harness.plan.violation import Violation

pytest.importorskip("megatron.training")

from megatron_verdict import refusal

CONFIGURATIONS = 1000
REFUSED_LATER = {  # fragments of our messages → where Megatron finds out, beyond the checks that run here
    "flex dispatcher needs": "MoEFlexTokenDispatcher, when a layer is built",
    "not support with shared experts": "SharedExpertMLP, when a layer is built",
    "does not divide --num-attention-heads": "SelfAttention, when it groups the heads of its first batch",
    "--sequence-parallel splits": "the embedding, when it scatters its first batch",
    "over --moe-router-group-topk": "never: with fewer experts than groups it ranks groups by an empty sum",
    "for -1 stages between": "never: at PP=1 it ignores PP_LAST, whatever it says",
}
LAYOUTS = (
    "Et*6|t*6L",
    "E|(tt|)*6,L",
    "Et*4|t*4|t*4L",
    "Ettt|(ttt|)*3L",
    "Ett|(ttt|)*3tm|L",
    "Et*6|t*6mL",
    "Ett|tm|tL",
    "Et*12,L",
    "Et*12m|L",
    "t*12|EL",
    "EtxL",
)


def mostly[T](rng: random.Random, usual: T, *others: T) -> T:
    """`usual` nine times in ten, so that a configuration of many parts has a chance to run."""
    return usual if rng.random() < 0.92 else rng.choice(others)


def random_flags(rng: random.Random) -> tuple[dict[str, ArgValue], int]:
    """Flags of a tiny model and a number of GPUs; drawn so that a good part can run."""
    tp, pp, cp = mostly(rng, rng.choice([1, 1, 2]), 3), rng.choice([1, 2, 2, 3, 4]), rng.choice([1, 1, 1, 2])
    flags: dict[str, ArgValue] = {
        "--num-layers": rng.choice(["12", "12", "12", "8"]),
        "--hidden-size": "192",
        "--ffn-hidden-size": "768",
        "--num-attention-heads": mostly(rng, "12", "6", "8"),
        "--max-position-embeddings": mostly(rng, "128", "64"),
        "--seq-length": mostly(rng, "96", "120", "98"),
        "--micro-batch-size": mostly(rng, "1", "2"),
        "--global-batch-size": mostly(rng, rng.choice(["96", "192"]), "48", "100", "24"),
        "--vocab-size": "1000",
        "--swiglu": True,
        "--disable-bias-linear": mostly(rng, True, False),
        "--position-embedding-type": mostly(rng, "rope", "learned_absolute"),
        "--num-experts": mostly(rng, "12", "4", "8", "0"),
        "--moe-router-topk": mostly(rng, rng.choice(["2", "4", "6"]), "1", "13"),
        "--tensor-model-parallel-size": str(tp),
        "--sequence-parallel": tp > 1,
        "--pipeline-model-parallel-size": str(pp),
        "--expert-model-parallel-size": mostly(rng, rng.choice(["1", "2", "4"]), "3", "8"),
        "--context-parallel-size": str(cp),
    }
    for extras in (_attention_flags(rng), _routing_flags(rng), _pipeline_flags(rng, pp), _training_flags(rng)):
        flags.update(extras)
    return flags, mostly(rng, 48, 8, 16, 32)


def _attention_flags(rng: random.Random) -> dict[str, ArgValue]:
    grouped: dict[str, ArgValue] = {
        "--group-query-attention": True,
        "--num-query-groups": mostly(rng, rng.choice(["2", "6"]), "1", "3", "4"),
    }
    latent: dict[str, ArgValue] = {"--multi-latent-attention": True, "--kv-lora-rank": "16"}
    return mostly(rng, rng.choice([{}, grouped, latent]), grouped | latent)


def _routing_flags(rng: random.Random) -> dict[str, ArgValue]:
    flags: dict[str, ArgValue] = {"--moe-router-pre-softmax": rng.random() < 0.5}
    if rng.random() < 0.2:
        flags["--moe-router-group-topk"] = mostly(rng, rng.choice(["1", "2"]), "3", "4")
        flags["--moe-router-num-groups"] = mostly(rng, rng.choice(["2", "3"]), "6", "5")
    if rng.random() < 0.15:
        flags["--moe-router-enable-expert-bias"] = True
        flags["--moe-router-score-function"] = rng.choice(["sigmoid", "sigmoid", "softmax"])
    if rng.random() < 0.2:
        flags["--expert-tensor-parallel-size"] = rng.choice(["1", "2"])
    if rng.random() < 0.1:
        flags["--moe-enable-deepep"] = True
        flags["--moe-token-dispatcher-type"] = rng.choice(["flex", "alltoall"])
    if rng.random() < 0.1:
        flags["--moe-shared-expert-intermediate-size"] = "96"
        flags["--moe-shared-expert-overlap"] = True
        flags["--moe-token-dispatcher-type"] = rng.choice(["allgather", "alltoall"])
    if rng.random() < 0.2:
        flags["--mtp-num-layers"] = "1"
    return flags


def _pipeline_flags(rng: random.Random, pp: int) -> dict[str, ArgValue]:
    kind = rng.choice(["even", "even", "vpp", "vpp", "per-stage", "uneven", "uneven-vpp", "account", "layout", "mixed"])
    flags: dict[str, ArgValue] = {}
    if kind in {"vpp", "uneven-vpp", "mixed"}:
        flags["--num-virtual-stages-per-pipeline-rank"] = rng.choice(["1", "2", "3"])
    if kind == "per-stage" or (kind == "mixed" and rng.random() < 0.3):
        flags["--num-layers-per-virtual-pipeline-stage"] = rng.choice(["1", "2", "3"])
    if kind.startswith("uneven") or kind == "mixed":
        flags["--decoder-first-pipeline-num-layers"] = rng.choice(["1", "2", "4"])
        if rng.random() < 0.6:
            flags["--decoder-last-pipeline-num-layers"] = rng.choice(["2", "4", "6", "8", "10"])
    if kind in {"account", "mixed"} and rng.random() < 0.7:
        flags["--account-for-embedding-in-pipeline-split"] = True
        flags["--account-for-loss-in-pipeline-split"] = rng.random() < 0.5
    if kind == "layout":
        flags["--pipeline-model-parallel-layout"] = rng.choice(LAYOUTS)
    if pp > 1:
        flags["--no-overlap-p2p-communication"] = mostly(rng, False, True)
    return flags


def _training_flags(rng: random.Random) -> dict[str, ArgValue]:
    flags: dict[str, ArgValue] = {
        "--bf16": mostly(rng, True, False),
        "--lr": "1e-4" if rng.random() < 0.98 else rng.choice(["-0.1", "nan"]),
        "--min-lr": "1e-5" if rng.random() < 0.95 else rng.choice(["1e-4", "1e-3"]),
        "--train-iters": "100",
    }
    if rng.random() < 0.1:
        flags |= {"--train-iters": False, "--train-samples": "9600"}
    if rng.random() < 0.08:
        unit = rng.choice(["iters", "samples"])
        flags[f"--lr-{rng.choice(['warmup', 'decay'])}-{unit}"] = mostly(rng, "50", "0")
    if rng.random() < 0.02:
        flags["--lr-warmup-fraction"] = "0.1"
    if rng.random() < 0.02:
        flags["--moe-router-padding-for-quantization"] = True
    if rng.random() < 0.15:
        flags |= _overlap_flags(rng)
    return flags


def _overlap_flags(rng: random.Random) -> dict[str, ArgValue]:
    flags: dict[str, ArgValue] = {
        "--overlap-moe-expert-parallel-comm": mostly(rng, True, False),
        "--ep-overlap-early-attn-memory-release": mostly(rng, False, True),
        "--moe-token-dispatcher-type": mostly(rng, "alltoall", "allgather"),
        "--moe-shared-expert-overlap": False,
        "--expert-model-parallel-size": mostly(rng, "4", "1"),
    }
    if rng.random() < 0.1:
        flags |= {"--recompute-granularity": "full", "--recompute-method": "uniform", "--recompute-num-layers": "1"}
    elif rng.random() < 0.2:
        flags["--recompute-granularity"] = "selective"
        flags["--recompute-modules"] = rng.choice([("core_attn",), ("core_attn", "moe")])
    return flags


def agree(ours: list[Violation], theirs: str | None) -> bool:
    """Both refuse or both accept, or we name only what Megatron would meet later."""
    if theirs is not None:
        return bool(ours)
    return all(any(fragment in violation.message for fragment in REFUSED_LATER) for violation in ours)


@pytest.mark.slow
def test_verdicts_agree_on_random_configurations() -> None:
    rng = random.Random(20250)
    disagreements, runnable = [], 0
    for _ in range(CONFIGURATIONS):
        flags, world_size = random_flags(rng)
        args = MegatronArgs(flags)
        ours, theirs = check(args, world_size), refusal(args, world_size)
        runnable += theirs is None
        if not agree(ours, theirs):
            disagreements.append((" ".join(args.argv()), world_size, [str(violation) for violation in ours], theirs))
    assert not disagreements, f"{len(disagreements)} of {CONFIGURATIONS}, e.g. {disagreements[:3]}"
    assert runnable > CONFIGURATIONS / 5  # the draw tries both verdicts

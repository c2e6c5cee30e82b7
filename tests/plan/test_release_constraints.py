"""What a Megatron release refuses at its start, by Transformer Engine too: messages, and where each constraint ends."""

import pytest

from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.releases import Release
from harness.plan.constraints.check import check

BASE: dict[str, ArgValue] = {
    "--num-layers": "8",
    "--hidden-size": "64",
    "--num-attention-heads": "4",
    "--max-position-embeddings": "128",
    "--seq-length": "128",
    "--micro-batch-size": "1",
    "--global-batch-size": "64",
    "--position-embedding-type": "rope",
    "--disable-bias-linear": True,
    "--num-experts": "8",
    "--bf16": True,
    "--expert-model-parallel-size": "2",
    "--moe-token-dispatcher-type": "alltoall",
}
OVERLAP: dict[str, ArgValue] = {"--overlap-moe-expert-parallel-comm": True}
DELAY: dict[str, ArgValue] = {**OVERLAP, "--delay-wgrad-compute": True}
MTP: dict[str, ArgValue] = {"--mtp-num-layers": "1"}
PIPELINE: dict[str, ArgValue] = {"--pipeline-model-parallel-size": "2"}
FP8: dict[str, ArgValue] = {"--fp8-format": "e4m3"}
SELECTIVE: dict[str, ArgValue] = {"--recompute-granularity": "selective"}
WHOLE_LAYERS: dict[str, ArgValue] = {
    "--recompute-granularity": "full",
    "--recompute-method": "uniform",
    "--recompute-num-layers": "1",
}
TE_GRAPHS: dict[str, ArgValue] = {"--cuda-graph-impl": "transformer_engine"}
LOCAL_GRAPHS: dict[str, ArgValue] = {
    "--cuda-graph-impl": "local",
    "--moe-pad-experts-for-cuda-graph-inference": True,
}
PADDED: dict[str, ArgValue] = {"--moe-expert-capacity-factor": "1.0", "--moe-pad-expert-input-to-capacity": True}
SPREAD: dict[str, ArgValue] = {"--use-distributed-optimizer": True, "--overlap-grad-reduce": True}
OFFLOADED: dict[str, ArgValue] = {"--fine-grained-activation-offloading": True, "--offload-modules": ("expert_fc1",)}
QUIET: dict[str, ArgValue] = {"--attention-dropout": "0", "--hidden-dropout": "0"}
SHARED: dict[str, ArgValue] = {"--moe-shared-expert-intermediate-size": "32", "--moe-shared-expert-overlap": True}
ALONE: dict[str, ArgValue] = {"--expert-model-parallel-size": "1"}
DENSE: dict[str, ArgValue] = {**ALONE, "--num-experts": "0"}
SCORED: dict[str, ArgValue] = {
    "--moe-router-enable-expert-bias": True,
    "--moe-router-score-function": "sqrtsoftplus",
}
OFFLOADED_OPTIMIZER: dict[str, ArgValue] = {
    "--optimizer-cpu-offload": True,
    "--use-precision-aware-optimizer": True,
}
LAYOUT = "--pipeline-model-parallel-layout"
MTP_APART: dict[str, ArgValue] = {**MTP, **PIPELINE, LAYOUT: "Et*4|t*3|tm|L"}


def said(flags: dict[str, ArgValue], release: str, te: Release | None = None) -> list[str]:
    """All that `check` says of the base with `flags` on sixteen ranks."""
    args = MegatronArgs({**BASE, **flags})
    return [str(violation) for violation in check(args, 16, release=Release.parse(release), te=te)]


MESSAGES: list[tuple[str, dict[str, ArgValue], str]] = [
    (
        "0.14", OVERLAP | PIPELINE,
        "--overlap-moe-expert-parallel-comm with PP=2 and VPP=1; allowed: VPP of 2 or more, or PP=1; "
        "fix: VPP=2 or more, or leave --overlap-moe-expert-parallel-comm out",
    ),
    (
        "0.19", OVERLAP | {"--expert-model-parallel-size": "1"},
        "--overlap-moe-expert-parallel-comm with EP=1; allowed: EP of 2 or more; "
        "fix: EP=2 or more, or leave --overlap-moe-expert-parallel-comm out",
    ),
    (
        "0.19", OVERLAP | {"--moe-token-dispatcher-type": "allgather"},
        "--overlap-moe-expert-parallel-comm with the allgather dispatcher; allowed: alltoall, flex; "
        "fix: MOE_TOKEN_DISPATCHER=alltoall, or leave --overlap-moe-expert-parallel-comm out",
    ),
    (
        "0.19", OVERLAP | WHOLE_LAYERS,
        "--overlap-moe-expert-parallel-comm with --recompute-granularity full, --recompute-method uniform, "
        "--recompute-num-layers 1; allowed: --recompute-granularity selective; "
        "fix: --recompute-granularity selective, without --recompute-method and --recompute-num-layers, "
        "or leave --overlap-moe-expert-parallel-comm out",
    ),
    (
        "0.19", OVERLAP | {"--bf16": False},
        "--overlap-moe-expert-parallel-comm with fp32; allowed: bf16, fp16; "
        "fix: PR=bf16, or leave --overlap-moe-expert-parallel-comm out",
    ),
    (
        "0.19", OVERLAP | {"--mtp-num-layers": "2"},
        "--overlap-moe-expert-parallel-comm with --mtp-num-layers 2; allowed: 1; "
        "fix: --mtp-num-layers 1, or leave --overlap-moe-expert-parallel-comm out",
    ),
    (
        "0.16", {"--ep-overlap-early-attn-memory-release": True},
        "--ep-overlap-early-attn-memory-release without --overlap-moe-expert-parallel-comm; "
        "fix: add --overlap-moe-expert-parallel-comm, or leave --ep-overlap-early-attn-memory-release out",
    ),
    (
        "0.14", {"--delay-wgrad-compute": True},
        "--delay-wgrad-compute without --overlap-moe-expert-parallel-comm; allowed: with it; "
        "fix: add --overlap-moe-expert-parallel-comm, or leave --delay-wgrad-compute out",
    ),
    (
        "0.13", {"--num-virtual-stages-per-pipeline-rank": "1"},
        "--num-virtual-stages-per-pipeline-rank with PP=1; allowed before Megatron 0.14: PP of 2 or more; "
        "fix: leave --num-virtual-stages-per-pipeline-rank out, or PP=2 or more",
    ),
    (
        "0.13", FP8 | {"--moe-router-padding-for-fp8": True, "--moe-token-dispatcher-type": "allgather"},
        "--moe-router-padding-for-fp8 with the allgather dispatcher; allowed: alltoall, flex; "
        "fix: MOE_TOKEN_DISPATCHER=alltoall, or leave --moe-router-padding-for-fp8 out",
    ),
    (
        "0.19", {"--moe-router-padding-for-quantization": True},
        "--moe-router-padding-for-quantization without quantized GEMMs; allowed: with --fp8-format or --fp4-format; "
        "fix: PR=fp8, or leave --moe-router-padding-for-quantization out",
    ),
    (
        "0.15", {"--moe-grouped-gemm": True, "--bf16": False},
        "--moe-grouped-gemm with fp32; allowed before Megatron 0.16: bf16; fix: PR=bf16, or MOE_GROUPED_GEMM=0",
    ),
    (
        "0.15", {"--fp16": True, "--bf16": False},
        "EP=2 with --fp16; allowed before Megatron 0.16: EP=1, or bf16; fix: --bf16 in place of --fp16, or EP=1",
    ),
    (
        "0.13", MTP | {"--context-parallel-size": "2"},
        "--mtp-num-layers with CP=2; allowed before Megatron 0.14: CP=1; fix: CP=1, or leave --mtp-num-layers out",
    ),
    (
        "0.15", MTP_APART,
        "--pipeline-model-parallel-layout Et*4|t*3|tm|L has an MTP module (m) apart from the loss; "
        "allowed before Megatron 0.16: m in the stage of L; fix: end the layout with mL",
    ),
    (
        "0.13", MTP | PIPELINE | {LAYOUT: "Et*4|t*4mL"},
        "--pipeline-model-parallel-layout Et*4|t*4mL names an MTP module (m); allowed before Megatron 0.14: E, t, L; "
        "fix: leave m out: the last stage holds it anyway",
    ),
    (
        "0.11", SPREAD | {"--overlap-param-gather": True, "--overlap-grad-reduce": False},
        "--overlap-param-gather without --overlap-grad-reduce; allowed: with it; "
        "fix: add --overlap-grad-reduce, or leave --overlap-param-gather out",
    ),
    (
        "0.15", SELECTIVE | {"--recompute-modules": ("moe_act",)},
        "--recompute-modules moe_act without --moe-grouped-gemm; allowed: other modules; "
        "fix: MOE_GROUPED_GEMM=1, or leave moe_act out",
    ),
    (
        "0.13", SELECTIVE | {"--recompute-modules": ("shared_experts", "core_attn")},
        "--recompute-modules shared_experts; allowed: core_attn, moe_act, layernorm, mla_up_proj, mlp, moe; "
        "fix: leave shared_experts out",
    ),
    (
        "0.19", WHOLE_LAYERS | TE_GRAPHS,
        "CUDA graphs with whole layers recomputed; allowed: selective recomputation; "
        "fix: --recompute-granularity as allowed, or leave CUDA graphs out",
    ),
    (
        "0.15", SELECTIVE | TE_GRAPHS | {"--cuda-graph-scope": "attn"},
        "CUDA graphs with core_attn recomputed in captured attention; allowed: other modules; "
        "fix: --recompute-modules as allowed, or leave CUDA graphs out",
    ),
    (
        "0.14", SELECTIVE | {"--enable-cuda-graph": True},
        "CUDA graphs with recomputation; allowed: without, before Megatron 0.15; "
        "fix: --recompute-granularity as allowed, or leave CUDA graphs out",
    ),
    (
        "0.17", {"--cuda-graph-impl": "local"},
        "--cuda-graph-impl local with EP=2 and without --moe-pad-experts-for-cuda-graph-inference; "
        "allowed: with it, in Megatron 0.16 and 0.17; fix: add --moe-pad-experts-for-cuda-graph-inference",
    ),
    (
        "0.19", FP8 | {"--fp8-param-gather": True},
        "--fp8-param-gather without --use-distributed-optimizer; allowed: with it; "
        "fix: add --use-distributed-optimizer",
    ),
    (
        "0.12", PADDED | {"--moe-token-dispatcher-type": "flex"},
        "--moe-pad-expert-input-to-capacity with the flex dispatcher and deepep; allowed: alltoall; "
        "fix: MOE_TOKEN_DISPATCHER=alltoall",
    ),
    (
        "0.19", {"--train-iters": "100", "--lr-decay-samples": "6400"},
        "--train-iters with --lr-decay-samples; allowed: schedules in iterations; fix: leave --lr-decay-samples out",
    ),
    (
        "0.19", {"--train-samples": "6400", "--lr-warmup-iters": "10"},
        "--train-samples with --lr-warmup-iters; allowed: schedules in samples; fix: leave --lr-warmup-iters out",
    ),
    (
        "0.19", {"--train-iters": "100", "--lr-warmup-iters": "10", "--lr-warmup-fraction": "0.1"},
        "--lr-warmup-fraction with --lr-warmup-iters; allowed: one of the two; fix: leave --lr-warmup-iters out",
    ),
    (
        "0.19", {"--lr": "1e-5", "--min-lr": "1e-4"},
        "--min-lr 1e-4 with --lr 1e-5; allowed: from 0 to 1e-5; fix: lower --min-lr, or raise --lr",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("release", "flags", "message"), MESSAGES)
def test_messages_of_release_rules(release: str, flags: dict[str, ArgValue], message: str) -> None:
    assert said(flags, release) == [message]


ENDED: list[tuple[str, str, dict[str, ArgValue]]] = [
    ("0.13", "0.14", {"--num-layers-per-virtual-pipeline-stage": "8"}),
    ("0.13", "0.14", MTP | {"--context-parallel-size": "2"}),
    ("0.13", "0.14", MTP | PIPELINE | {LAYOUT: "Et*4|t*4mL"}),
    ("0.15", "0.16", MTP_APART),
    ("0.15", "0.16", {"--moe-grouped-gemm": True, "--bf16": False}),
    ("0.15", "0.16", {"--fp16": True, "--bf16": False}),
    ("0.17", "0.18", OVERLAP | MTP),
    ("0.17", "0.18", OVERLAP | LOCAL_GRAPHS),
    ("0.15", "0.16", TE_GRAPHS | SELECTIVE | {"--recompute-modules": ("moe_act",), "--moe-grouped-gemm": True}),
    ("0.17", "0.18", {"--cuda-graph-impl": "local"}),
    ("0.17", "0.18", {"--moe-token-dispatcher-type": "flex", **SHARED}),
    ("0.17", "0.18", SCORED),
    ("0.18", "0.19", OFFLOADED | LOCAL_GRAPHS | {"--cuda-graph-modules": ("attn",)}),
    ("0.16", "0.17", {"--moe-token-dispatcher-type": "flex", "--moe-flex-dispatcher-backend": "hybridep"} | ALONE),
    ("0.17", "0.18", {"--train-iters": "100", "--rampup-batch-size": ("16", "16", "6400")}),
    ("0.16", "0.17", {"--train-iters": "100", "--lr-decay-samples": "6400", "--skip-train": True}),
    ("0.18", "0.19", OVERLAP | {"--mtp-num-layers": "0"}),
]
BEGUN: list[tuple[str, str, dict[str, ArgValue]]] = [
    ("0.13", "0.14", {"--delay-wgrad-compute": True}),
    ("0.13", "0.14", MTP | PIPELINE | {LAYOUT: "Et*4|t*4L"}),
    ("0.15", "0.16", OVERLAP | MTP),
    ("0.15", "0.16", OVERLAP | TE_GRAPHS | PADDED | {"--cuda-graph-scope": ("attn", "moe")}),
    ("0.13", "0.14", SELECTIVE | FP8 | {"--recompute-modules": ("layernorm",)}),
    ("0.15", "0.16", TE_GRAPHS | {"--cuda-graph-scope": ("moe",)}),
    ("0.17", "0.18", {"--cross-entropy-loss-fusion": True, "--cross-entropy-fusion-impl": "te"}),
    ("0.18", "0.19", SELECTIVE | OFFLOADED | {"--recompute-modules": ("moe",)}),
    ("0.13", "0.14", SPREAD | OFFLOADED_OPTIMIZER | FP8 | {"--fp8-param-gather": True, "--fp8-recipe": "blockwise"}),
    ("0.11", "0.12", DENSE | {"--moe-ffn-hidden-size": "32"}),
    ("0.16", "0.17", OVERLAP | {"--recompute-granularity": "selective", "--recompute-modules": ("core_attn", "moe")}),
]


@pytest.mark.parametrize(
    ("accepting", "refusing", "flags"),
    [(later, last, flags) for last, later, flags in ENDED] + BEGUN,
)
def test_rules_end_and_begin_with_a_release(accepting: str, refusing: str, flags: dict[str, ArgValue]) -> None:
    assert said(flags, accepting) == []
    assert len(said(flags, refusing)) == 1


def test_delayed_gradients_reduced_on_the_way_want_a_transformer_engine() -> None:
    flags = DELAY | {"--overlap-grad-reduce": True}
    assert said(flags, "0.19", te=Release(2, 7)) == [
        "--delay-wgrad-compute with --overlap-grad-reduce on Transformer Engine 2.7; "
        "allowed: Transformer Engine 2.8 or later; "
        "fix: an image with Transformer Engine 2.8, or leave --delay-wgrad-compute out"
    ]
    assert said(flags, "0.19", te=Release.parse("2.8.0")) == said(flags, "0.19", te=None) == []
    assert said(flags, "0.14", te=Release(2, 7)) == []
    assert len(said(flags, "0.14", te=Release(2, 6))) == 1
    assert len(said(DELAY | {"--no-gradient-accumulation-fusion": True}, "0.19", te=Release(2, 6))) == 1


@pytest.mark.parametrize("rate", ["0", "-1e-4", "nan", "inf", "fast"])
def test_rates_that_are_no_rates(rate: str) -> None:
    assert said({"--lr": rate, "--min-lr": "1"}, "0.19") == [
        f"--lr is {rate!r}; allowed: finite numbers above 0; fix: give --lr a rate such as 3e-4"
    ]


def test_a_schedule_in_its_own_unit_may_run() -> None:
    rates: dict[str, ArgValue] = {"--lr": "3e-4", "--min-lr": "3e-4"}
    unit: dict[str, ArgValue] = {"--train-iters": "100", "--lr-decay-iters": "90", "--lr-warmup-samples": "0"}
    assert said(rates | unit | {"--lr-warmup-fraction": "0.1"}, "0.11") == []


TE_NEEDS: list[tuple[Release, str, dict[str, ArgValue]]] = [
    (Release(1, 7), "0.19", FP8),
    (Release(1, 11), "0.19", FP8 | {"--moe-grouped-gemm": True}),
    (Release(2, 7), "0.19", {"--fp4-format": "e2m1"}),
    (Release(2, 6), "0.19", SELECTIVE | FP8 | {"--fp8-recipe": "tensorwise", "--recompute-modules": ("layernorm",)}),
    (Release(2, 1), "0.11", {"--moe-permute-fusion": True}),
    (Release(2, 9), "0.16", {"--log-max-attention-logit": True}),
    (Release(2, 10), "0.16", DELAY | TE_GRAPHS | {"--cuda-graph-scope": ("moe_router",)}),
    (Release(2, 12), "0.17", DELAY | {"--overlap-grad-reduce": True, "--cuda-graph-scope": ("attn",)}),
    (Release(2, 3), "0.18", {"--overlap-dispatch-backward-with-experts-wgrad": True}),
]


@pytest.mark.parametrize(("least", "release", "flags"), TE_NEEDS)
def test_what_a_transformer_engine_must_have(least: Release, release: str, flags: dict[str, ArgValue]) -> None:
    older = Release(least.major, least.minor - 1)
    (violation,) = check(MegatronArgs({**BASE, **flags}), 16, release=Release.parse(release), te=older)
    assert f"allowed: Transformer Engine {least} or later" in str(violation)
    assert said(flags, release, te=least) == said(flags, release, te=None) == []


GROWING = {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
ENVIRONMENTS: list[tuple[str, dict[str, ArgValue], dict[str, str], dict[str, str]]] = [
    ("0.19", TE_GRAPHS, GROWING, GROWING | {"NCCL_GRAPH_REGISTER": "0"}),
    ("0.14", {"--external-cuda-graph": True}, GROWING | {"NCCL_GRAPH_REGISTER": "0"}, {}),
    ("0.19", OFFLOADED, {}, {"NVTE_CPU_OFFLOAD_V1": "1"}),
    (
        "0.19", {"--use-megatron-fsdp": True, "--ckpt-format": "fsdp_dtensor"},
        {"CUDA_DEVICE_MAX_CONNECTIONS": "1"}, {"CUDA_DEVICE_MAX_CONNECTIONS": "8"},
    ),
    ("0.19", {"--context-parallel-size": "2"}, {}, {"CUDA_DEVICE_MAX_CONNECTIONS": "1"}),
]  # fmt: skip


@pytest.mark.parametrize(("release", "flags", "wrong", "right"), ENVIRONMENTS)
def test_what_the_environment_must_say(
    release: str, flags: dict[str, ArgValue], wrong: dict[str, str], right: dict[str, str]
) -> None:
    args, known = MegatronArgs({**BASE, **flags}), {"te": Release(2, 12), "gpu": "H100"}
    assert len(check(args, 16, release=Release.parse(release), env=wrong, **known)) == 1
    assert check(args, 16, release=Release.parse(release), env=right, **known) == said(flags, release) == []

"""What users read when a mapping cannot run: exact messages, all of them at once, and fixes that do fix."""

import json
from pathlib import Path

import pytest

from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.releases import Release
from harness.plan.constraints.check import check

FLAGS = json.loads((Path(__file__).parents[1] / "arch" / "published_flags.json").read_text())
FLAG = {
    "TP": "--tensor-model-parallel-size",
    "CP": "--context-parallel-size",
    "PP": "--pipeline-model-parallel-size",
    "VPP": "--num-virtual-stages-per-pipeline-rank",
    "EP": "--expert-model-parallel-size",
    "ETP": "--expert-tensor-parallel-size",
    "GBS": "--global-batch-size",
    "MBS": "--micro-batch-size",
    "SEQ_LEN": "--seq-length",
    "PP_FIRST": "--decoder-first-pipeline-num-layers",
    "PP_LAST": "--decoder-last-pipeline-num-layers",
    "DISPATCHER": "--moe-token-dispatcher-type",
}

# The preset mappings: model, GPUs (eight a node), and what each sets.
PRESETS = [
    ("Mixtral-8x2B", 64, {"EP": 8, "MBS": 2, "GBS": 256}),
    ("Mixtral-8x7B", 64, {"PP": 4, "EP": 8, "VPP": 8, "GBS": 256}),
    ("Mixtral-8x22B", 128, {"TP": 2, "PP": 8, "EP": 8, "GBS": 256, "ETP": 1}),
    ("DeepSeek-V2", 256, {"PP": 16, "EP": 8, "VPP": 2, "GBS": 1024, "PP_FIRST": 2, "PP_LAST": 2}),
    ("DeepSeek-V2-Lite", 8, {"EP": 8, "GBS": 512}),
    ("DeepSeek-V3", 1024, {"PP": 16, "EP": 64, "GBS": 8192, "DISPATCHER": "flex", "PP_FIRST": 4, "PP_LAST": 1}),
    ("Qwen2-57B-A14B", 64, {"TP": 2, "PP": 4, "EP": 4, "VPP": 7, "GBS": 256, "ETP": 1}),
    ("Qwen3-30B-A3B", 32, {"EP": 8, "GBS": 256}),
    (
        "Qwen3-235B-A22B",
        256,
        {"TP": 2, "PP": 8, "EP": 32, "GBS": 2048, "ETP": 1, "DISPATCHER": "flex", "PP_FIRST": 11, "PP_LAST": 11},
    ),
    (
        "Kimi-K2",
        1024,
        {"TP": 2, "PP": 16, "EP": 32, "GBS": 4096, "ETP": 1, "DISPATCHER": "flex", "PP_FIRST": 4, "PP_LAST": 1},
    ),
    ("Moonlight-16B-A3B", 8, {"EP": 8, "GBS": 512}),
]


def flags(model: str, settings: dict[str, int | str], **extra: ArgValue) -> MegatronArgs:
    """A published model with settings, and more flags (`sequence_parallel=True`)."""
    mapping: dict[str, ArgValue] = {FLAG[name]: str(value) for name, value in settings.items()}
    more = {f"--{name.replace('_', '-')}": value for name, value in extra.items()}
    sequence = {"--sequence-parallel": True} if settings.get("TP", 1) != 1 else {}
    return MegatronArgs({**FLAGS[model], **mapping, **sequence, **more})


@pytest.mark.parametrize(("model", "gpus", "settings"), PRESETS)
def test_every_preset_can_run(model: str, gpus: int, settings: dict[str, int | str]) -> None:
    assert check(flags(model, settings), gpus, gpus_per_node=8) == []


V3 = {"PP": 16, "EP": 64, "GBS": 8192, "PP_FIRST": 4, "PP_LAST": 1}
LITE = {"EP": 8, "GBS": 512}
CASES = [
    (
        "DeepSeek-V3", 1024, V3 | {"EP": 48}, {},
        "EP=48 does not divide --num-experts 256; allowed here: 1, 2, 4, 8, 16, 32, 64; fix: EP=32 or EP=64",
    ),
    (
        "DeepSeek-V3", 1000, V3, {},
        "1000 GPUs are no multiple of TP·CP·PP = 1·1·16 = 16 nor of ETP·EP·PP = 1·64·16 = 1024; "
        "allowed with this mapping: multiples of 1024; "
        "fix: NNODES=128 with 8 GPUs a node, or change the mapping",
    ),
    (
        "DeepSeek-V2-Lite", 24, {"EP": 16, "GBS": 480}, {},
        "24 GPUs are no multiple of ETP·EP·PP = 1·16·1 = 16; allowed with this mapping: multiples of 16; "
        "fix: NNODES=2 or NNODES=4 with 8 GPUs a node, or change the mapping",
    ),
    (
        "DeepSeek-V2-Lite", 8, LITE | {"GBS": 100}, {},
        "GBS=100 is no multiple of MBS·DP = 1·8 = 8; fix: GBS=96 or GBS=104",
    ),
    (
        "Mixtral-8x7B", 64, {"PP": 4, "EP": 8, "VPP": 8, "GBS": 32}, {},
        "VPP=8 with 2 micro-batches (GBS=32 over MBS·DP = 16); allowed: multiples of 4; fix: GBS=64, or VPP=1",
    ),
    (
        "Mixtral-8x7B", 64, {"PP": 4, "EP": 8, "VPP": 3, "GBS": 256}, {},
        "VPP=3 does not divide the 8 layers of a stage (32 layers, PP=4); allowed: 1, 2, 4, 8; fix: VPP=2 or VPP=4",
    ),
    (
        "DeepSeek-V3", 1024, V3 | {"PP_FIRST": 60, "PP_LAST": 4}, {},
        "PP_FIRST=60 and PP_LAST=4 of 61 layers leave -3 layers for 14 stages between (PP=16); "
        "fix: let them leave layers exactly where stages are left",
    ),
    (
        "DeepSeek-V3", 1024, V3 | {"PP_FIRST": 3, "PP_LAST": 3}, {},
        "PP_FIRST=3 and PP_LAST=3 leave 55 layers, which the 14 stages between cannot share alike (PP=16); "
        "fix: PP_FIRST=2 or PP_FIRST=16",
    ),
    (
        "DeepSeek-V2", 256, {"PP": 16, "EP": 8, "GBS": 1024}, {},
        "PP=16 does not divide 60 layers; allowed: 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60; "
        "fix: PP=15 or PP=20, or an uneven split with PP_FIRST and PP_LAST",
    ),
    (
        "DeepSeek-V2-Lite", 8, {"EP": 8, "TP": 2, "ETP": 1, "GBS": 512}, {"sequence_parallel": False},
        "TP=2 with experts, but without --sequence-parallel; fix: add --sequence-parallel, or TP=1",
    ),
    (
        "DeepSeek-V2-Lite", 8, LITE | {"CP": 4, "SEQ_LEN": 4092}, {},
        "SEQ_LEN=4092 is no multiple of 2·CP = 8; fix: SEQ_LEN=4088 or SEQ_LEN=4096",
    ),
    (
        "Mixtral-8x2B", 64, {"EP": 8, "GBS": 256, "SEQ_LEN": 8192}, {},
        "SEQ_LEN=8192 exceeds --max-position-embeddings 4096; "
        "fix: SEQ_LEN=4096 or less, or --max-position-embeddings 8192",
    ),
    (
        "DeepSeek-V2-Lite", 8, {"GBS": 512, "DISPATCHER": "flex"}, {},
        "the flex dispatcher needs ETP·EP > 1, but both are 1; fix: EP=2 or more, or MOE_TOKEN_DISPATCHER=alltoall",
    ),
    (
        "Mixtral-8x7B", 64, {"TP": 2, "GBS": 512, "ETP": 1}, {"vocab_size": "32001", "no_pad_vocab_size": True},
        "TP=2 does not divide --vocab-size 32001; allowed: 1, 3; fix: TP=1 or TP=3",
    ),
    (
        "DeepSeek-V3", 1024, V3, {"moe_router_num_groups": "7"},
        "--moe-router-num-groups 7 does not divide --num-experts 256; allowed: 1, 2, 4, 8, 16, 32, 64, 128, 256; "
        "fix: --moe-router-num-groups=4 or --moe-router-num-groups=8",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("model", "gpus", "settings", "extra", "message"), CASES)
def test_messages(model: str, gpus: int, settings: dict, extra: dict, message: str) -> None:  # type: ignore[type-arg]
    found = check(flags(model, settings, **extra), gpus, gpus_per_node=8)
    assert [str(violation) for violation in found] == [message]


def test_all_violations_at_once() -> None:
    settings = {"TP": 2, "PP": 8, "EP": 96, "GBS": 8190, "ETP": 1}
    found = check(flags("DeepSeek-V3", settings), 1024, gpus_per_node=8)
    assert [violation.constraint for violation in found] == ["expert-parallel", "pipeline-layers", "global-batch"]


def test_names_lead_to_the_origins() -> None:
    (violation,) = check(flags("DeepSeek-V3", V3 | {"EP": 48}), 1024)
    assert violation.names == ("EP", "--expert-model-parallel-size", "--num-experts")


def test_query_groups_may_be_shared_by_ranks_since_016() -> None:
    args = flags("Qwen2-57B-A14B", {"TP": 4, "ETP": 1, "GBS": 256}, num_query_groups="2")
    assert check(args, 64, release=Release(0, 16)) == []
    assert [str(violation) for violation in check(args, 64, release=Release(0, 15))] == [
        "TP=4 does not divide --num-query-groups 2; allowed: 1, 2; fix: TP=2"
    ]


@pytest.mark.parametrize("value", ["two", "0", "-1", "1.5", "nan"])
def test_sizes_that_are_no_sizes_are_reported_alone(value: str) -> None:
    found = check(flags("DeepSeek-V3", V3 | {"EP": 48, "TP": value}), 1024)
    assert [str(violation) for violation in found] == [
        f"--tensor-model-parallel-size is {value!r}; allowed: whole numbers from 1; "
        "fix: give --tensor-model-parallel-size a whole number"
    ]


BLOCKWISE = {"fp8_format": "e4m3", "fp8_recipe": "blockwise"}
MXFP8 = {"fp8_format": "e4m3", "fp8_recipe": "mxfp8"}
GPUS = [
    ("A100", {"fp8_format": "hybrid"}, "fp8 on A100-80GB (Ampere); allowed: bf16; fix: PR=bf16"),
    ("H100", MXFP8, "mxfp8 on H100 (Hopper); allowed: Blackwell, CDNA4; fix: PR=fp8, or PR=bf16"),
    ("B200", MXFP8, None),
    ("H100", BLOCKWISE, None),
    (
        "GB200", BLOCKWISE,
        "blockwise fp8 on Blackwell on an older Transformer Engine; allowed: Transformer Engine 2.9 or later; "
        "fix: an image with Transformer Engine 2.9, or leave it out",
    ),
    (
        "MI355X", BLOCKWISE,
        "blockwise fp8 on CDNA4; allowed: Hopper, Blackwell; fix: --fp8-recipe delayed, or PR=bf16",
    ),
    ("H200", {"fp4_format": "e2m1"}, "nvfp4 on H200 (Hopper); allowed: Blackwell; fix: PR=bf16"),
    ("GB300", {"fp4_format": "e2m1"}, None),
    (
        "A100", {"moe_token_dispatcher_type": "flex", "expert_model_parallel_size": "16"},
        "deepep on A100-80GB (Ampere), its 16 ranks on several nodes; allowed: Hopper, Blackwell; "
        "fix: MOE_TOKEN_DISPATCHER=alltoall",
    ),
    ("A100", {"moe_token_dispatcher_type": "flex"}, None),
    (
        "A100", {"moe_token_dispatcher_type": "flex", "moe_flex_dispatcher_backend": "hybridep"},
        "hybridep on A100-80GB (Ampere); allowed: Hopper, Blackwell; fix: MOE_TOKEN_DISPATCHER=alltoall",
    ),
    ("a GPU of tomorrow", MXFP8, None),
]  # fmt: skip


@pytest.mark.parametrize(("gpu", "extra", "message"), GPUS)
def test_what_a_gpu_cannot_do(gpu: str, extra: dict[str, str], message: str | None) -> None:
    found = check(flags("DeepSeek-V2-Lite", LITE, **extra), 16, gpus_per_node=8, te=Release(2, 8), gpu=gpu)
    assert [str(violation) for violation in found] == ([] if message is None else [message])


def test_sizes_of_what_the_model_does_not_have_are_named() -> None:
    extra: dict[str, ArgValue] = {"num_experts": "0", "multi_latent_attention": False}
    found = check(flags("DeepSeek-V3", {"GBS": 1024}, **extra), 1024)
    assert {violation.message.partition(";")[0] for violation in found if violation.constraint == "shape"} == {
        "--q-lora-rank, --kv-lora-rank, --qk-head-dim, --qk-pos-emb-head-dim, --v-head-dim "
        "without --multi-latent-attention",
        "--moe-shared-expert-intermediate-size, --moe-router-num-groups without --num-experts",
    }


@pytest.mark.parametrize("value", ["nan", "inf", "much"])
def test_numbers_that_are_no_numbers_are_reported_alone(value: str) -> None:
    found = check(flags("DeepSeek-V3", V3 | {"EP": 48}, moe_expert_capacity_factor=value), 1024)
    assert [str(violation) for violation in found] == [
        f"--moe-expert-capacity-factor is {value!r}; allowed: finite numbers; "
        "fix: give --moe-expert-capacity-factor a number"
    ]


def test_missing_shape_flags_are_named() -> None:
    found = check(MegatronArgs({"--num-layers": "4"}), 1)
    assert [violation.names[-1] for violation in found] == [
        "--hidden-size",
        "--num-attention-heads",
        "--max-position-embeddings",
        "--seq-length",
        "--micro-batch-size",
    ]

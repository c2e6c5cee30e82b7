"""The rules, one by one."""

import pytest

from harness.config.provenance import Resolved
from harness.config.releases import known, load
from harness.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "per_stage", "vpp_flag"),
    [
        (("MODEL=DeepSeek-V2",), 2, "2"),  # (60 - 2 - 2) / 14 / 2
        (("MODEL=Mixtral-8x7B",), 1, "8"),  # 32 / 4 / 8
        (("MODEL=Qwen2-57B-A14B",), 1, "7"),
        (("MODEL=Mixtral-8x7B", "LAYERS_PER_VP=2"), 2, "4"),
        (("MODEL=Mixtral-8x7B", "LAYERS_PER_VP=2", "VPP=4"), 2, "4"),
    ],
)
def test_layers_per_virtual_stage(resolve, words, per_stage: int, vpp_flag: str) -> None:
    resolved = resolve(*words, cluster="template")
    assert resolved.integer("LAYERS_PER_VP") == per_stage
    assert resolved.megatron_args.text("--num-virtual-stages-per-pipeline-rank") == vpp_flag


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("LAYERS_PER_VP=3",),
            r"LAYERS_PER_VP=3 \(command line\) does not divide the 8 layers of a pipeline rank; 1, 2, 4, 8 do",
        ),
        (("LAYERS_PER_VP=2", "VPP=2"), r"LAYERS_PER_VP=2 \(command line\) means VPP=4, but VPP=2 is written too"),
    ],
)
def test_virtual_stages_that_cannot_be(resolve, words, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve("MODEL=Mixtral-8x7B", *words, cluster="template")


def test_vpp_without_a_pipeline_is_one_and_said(resolve) -> None:
    resolved = resolve("MODEL=Mixtral-8x7B", "PP=1", "WANDB_MODE=offline", cluster="template")
    assert resolved.integer("VPP") == 1
    assert "VPP1-" in resolved.megatron_args.text("--wandb-exp-name")
    assert any(notice.startswith("VPP=8 (runtime_configs/") for notice in resolved.notices)


def test_of_two_stages_only_one_is_stated(resolve) -> None:
    flags = resolve("MODEL=DeepSeek-V3", "PP=2", cluster="template").megatron_args
    assert "--decoder-first-pipeline-num-layers" in flags
    assert "--decoder-last-pipeline-num-layers" not in flags


def test_uneven_pipeline_flags(resolve) -> None:
    flags = resolve("MODEL=DeepSeek-V3", cluster="template").megatron_args
    assert flags.text("--decoder-first-pipeline-num-layers") == "4"
    assert flags.text("--decoder-last-pipeline-num-layers") == "1"


def test_a_preset_split_that_no_longer_fits_is_chosen_anew_and_said(resolve) -> None:
    resolved = resolve("MODEL=DeepSeek-V3", "TP=2", "PP=8", "EP=64", "VPP=1", "NNODES=64", cluster="template")
    assert (resolved.integer("PP_FIRST"), resolved.integer("PP_LAST")) == (7, 6)
    assert any("taking PP_FIRST=7 PP_LAST=6, 8 on each of the 6 between" in notice for notice in resolved.notices)


def test_a_split_that_the_user_wrote_stands(resolve) -> None:
    resolved = resolve("MODEL=DeepSeek-V3", "PP=8", "PP_FIRST=4", "PP_LAST=1", cluster="template")
    assert (resolved.integer("PP_FIRST"), resolved.integer("PP_LAST")) == (4, 1)


@pytest.mark.parametrize(("layers", "pp", "vpp"), [(61, 2, 1), (61, 4, 1), (27, 4, 3), (59, 8, 2)])
def test_a_chosen_split_covers_all_layers_evenly(resolve, layers: int, pp: int, vpp: int) -> None:
    words = (f"NUM_LAYERS={layers}", f"PP={pp}", f"VPP={vpp}", "EP=1")
    resolved = resolve("MODEL=DeepSeek-V2-Lite", *words, cluster="template")
    first, last = resolved.integer("PP_FIRST"), resolved.integer("PP_LAST")
    if not first:  # no split exists for these numbers
        assert layers % vpp
        return
    middle = layers - first - last
    assert middle % max(1, (pp - 2) * vpp) == 0
    assert first % vpp == last % vpp == 0
    assert first >= last


def test_a_layout_replaces_vpp_and_uneven_stages(resolve) -> None:
    layout = "Et*4|(tttt|)*14t,mL"
    flags = resolve("MODEL=DeepSeek-V3", f"PP_LAYOUT={layout}", cluster="template").megatron_args
    assert flags.text("--pipeline-model-parallel-layout") == layout
    assert not {"--decoder-first-pipeline-num-layers", "--num-virtual-stages-per-pipeline-rank"} & flags.keys()


def test_precision(resolve) -> None:
    flags = {
        pr: resolve("MODEL=DeepSeek-V3", f"PR={pr}", cluster="template").megatron_args
        for pr in ("bf16", "fp8", "mxfp8", "fp32")
    }
    assert flags["bf16"].switch("--bf16")
    assert "--fp8-format" not in flags["bf16"]
    assert flags["fp8"].text("--fp8-recipe") == "blockwise"
    assert flags["fp8"].switch("--fp8-param-gather")
    assert flags["mxfp8"].text("--fp8-recipe") == "mxfp8"
    assert flags["mxfp8"].switch("--reuse-grad-buf-for-mxfp8-param-ag")
    assert "--bf16" not in flags["fp32"]
    offloaded = resolve("MODEL=DeepSeek-V3", "PR=fp8", "OPTIMIZER_OFFLOAD=1", cluster="template").megatron_args
    assert offloaded.switch("--optimizer-cpu-offload")
    assert "--fp8-param-gather" not in offloaded


def test_dispatchers(resolve) -> None:
    def flags(dispatcher: str, release: str = "0.19"):
        words = (f"MOE_TOKEN_DISPATCHER={dispatcher}", f"MCORE_RELEASE_VERSION={release}")
        return resolve("MODEL=Mixtral-8x7B", *words, cluster="template").megatron_args

    assert flags("allgather").text("--moe-token-dispatcher-type") == "allgather"
    assert flags("hybridep").text("--moe-flex-dispatcher-backend") == "hybridep"
    assert flags("deepep", "0.14").switch("--moe-enable-deepep")
    with pytest.raises(ConfigError, match=r"hybridep needs Megatron 0\.16"):
        flags("hybridep", "0.15")


def test_a2a_overlap(resolve) -> None:
    on, off = (resolve("MODEL=Mixtral-8x7B", f"A2A_OVERLAP={value}", cluster="template") for value in (1, 0))
    assert on.megatron_args.switch("--overlap-moe-expert-parallel-comm")
    assert on.env["CUDA_DEVICE_MAX_CONNECTIONS"] == "32"
    assert "--overlap-moe-expert-parallel-comm" not in off.megatron_args
    assert off.env["CUDA_DEVICE_MAX_CONNECTIONS"] == "1"


@pytest.mark.parametrize("release", known())
def test_the_all_to_all_is_overlapped_where_the_release_can(resolve, release: str) -> None:
    words = ("MODEL=Mixtral-8x7B", f"MCORE_RELEASE_VERSION={release}", "A2A_OVERLAP=1")
    resolved = resolve(*words, cluster="template")
    flag = "--overlap-moe-expert-parallel-comm"
    can = flag in load(release).options
    assert resolved.megatron_args.switch(flag) == can
    assert resolved.env["CUDA_DEVICE_MAX_CONNECTIONS"] == ("32" if can else "1")
    said = "A2A_OVERLAP=1 (command line) has no effect: Megatron has it from 0.14 on"
    assert (said in resolved.notices) == (not can)


def test_weight_gradients_are_delayed_where_transformer_engine_can(resolve) -> None:
    def delayed(version: str) -> bool:
        words = ("MODEL=Mixtral-8x7B", "A2A_OVERLAP=1", f"TE_VERSION={version}")
        return resolve(*words, cluster="template").megatron_args.switch("--delay-wgrad-compute")

    assert (delayed("2.7"), delayed("2.8")) == (False, True)


def test_what_the_user_exports_wins_over_a_rule(resolve) -> None:
    given = {"environ": {"CUDA_DEVICE_MAX_CONNECTIONS": "8"}, "cluster": "template"}
    assert resolve("MODEL=Mixtral-8x7B", **given).env["CUDA_DEVICE_MAX_CONNECTIONS"] == "8"
    assert resolve("MODEL=Mixtral-8x7B", "NCCL_DEBUG=INFO").env["NCCL_DEBUG"] == "INFO"


def test_the_embedded_engine_does_without_offloading(resolve) -> None:
    resolved = resolve("MODEL=Mixtral-8x7B", "OPTIMIZER_OFFLOAD=1")
    assert "--optimizer-cpu-offload" not in resolved.megatron_args
    assert any(notice.startswith("OPTIMIZER_OFFLOAD=1 (command line) has no effect") for notice in resolved.notices)


def test_the_schedule_is_counted_as_the_run_is(resolve) -> None:
    flags = resolve("MODEL=Mixtral-8x7B", extra=["--lr-decay-samples", "1000"]).megatron_args
    assert "--lr-decay-samples" not in flags
    flags = resolve("MODEL=Mixtral-8x7B", extra=["--train-samples", "9", "--lr-decay-samples", "8"]).megatron_args
    assert flags.text("--lr-decay-samples") == "8"


def test_the_lowest_rate_follows_the_highest(resolve) -> None:
    assert resolve("MODEL=Mixtral-8x7B", extra=["--lr", "1e-5"]).megatron_args.text("--min-lr") == "1e-06"
    with pytest.raises(ConfigError, match=r"LR=-1 \(command line\) is no learning rate"):
        resolve("MODEL=Mixtral-8x7B", "LR=-1")


def test_what_would_train_another_model_is_a_blocker_where_weights_are_loaded(resolve) -> None:
    words = ("MODEL=Qwen2-57B-A14B", "MCORE_RELEASE_VERSION=0.15")
    assert resolve(*words, cluster="template").blockers
    assert not resolve(*words, "PRETRAIN=1", cluster="template").blockers
    assert not resolve("MODEL=Qwen2-57B-A14B", cluster="template").blockers


def test_groups_are_scored_by_their_best_expert_in_the_embedded_engine_alone(resolve) -> None:
    words = ("MODEL=DeepSeek-V2", "GROUP_SCORE=max")
    embedded, megatron = (resolve(*words, path, cluster="template") for path in ("MEGATRON_PATH=", "MEGATRON_PATH=/m"))
    assert embedded.env["MOE_HARNESS_GROUP_SCORE"] == "max"
    assert embedded.blockers == ()
    assert "MOE_HARNESS_GROUP_SCORE" not in megatron.env
    assert megatron.blockers == (
        "GROUP_SCORE=max (command line): Megatron itself scores a group by the sum of its best experts; "
        "leave MEGATRON_PATH out for the embedded engine, or set GROUP_SCORE=sum",
    )
    assert "MOE_HARNESS_GROUP_SCORE" not in resolve("MODEL=DeepSeek-V2").env


def test_without_groups_their_score_has_no_effect(resolve) -> None:
    resolved = resolve("MODEL=Mixtral-8x7B", "GROUP_SCORE=max")
    assert "MOE_HARNESS_GROUP_SCORE" not in resolved.env
    assert any("GROUP_SCORE=max (command line) has no effect" in notice for notice in resolved.notices)


def test_permute_fusion_by_transformer_engine(resolve) -> None:
    def fused(version: str) -> bool:
        words = ("MODEL=Mixtral-8x7B", f"TE_VERSION={version}")
        return resolve(*words, cluster="template").megatron_args.switch("--moe-permute-fusion")

    assert (fused("2.0"), fused("2.1"), fused("2.10")) == (False, True, True)


def test_tp_comm_overlap_and_sequence_parallel_need_tp(resolve) -> None:
    one, two = (resolve("MODEL=Mixtral-8x7B", f"TP={tp}", "TP_COMM_OVERLAP=1", cluster="template") for tp in (1, 2))
    assert not {"--tp-comm-overlap", "--sequence-parallel"} & one.megatron_args.keys()
    assert {"--tp-comm-overlap", "--sequence-parallel"} <= two.megatron_args.keys()
    assert any("TP_COMM_OVERLAP=1" in notice for notice in one.notices)


def dispatchers_of(resolved: Resolved) -> dict[str, object]:
    return {flag: value for flag, value in resolved.megatron_args.items() if "dispatcher" in flag or "deepep" in flag}


@pytest.mark.parametrize("asked", ["deepep", "hybridep", "flex"])
def test_the_embedded_engine_exchanges_tokens_by_alltoall(resolve, asked: str) -> None:
    resolved = resolve("MODEL=Mixtral-8x7B", f"MOE_TOKEN_DISPATCHER={asked}")
    assert dispatchers_of(resolved) == {"--moe-token-dispatcher-type": "alltoall"}
    assert any(notice.startswith(f"MOE_TOKEN_DISPATCHER={asked} (command line)") for notice in resolved.notices)


def test_without_flex_tokens_are_exchanged_by_alltoall(resolve) -> None:
    words = ("MODEL=Mixtral-8x7B", "MOE_TOKEN_DISPATCHER=deepep", "MCORE_RELEASE_VERSION=0.11")
    assert dispatchers_of(resolve(*words, cluster="template")) == {"--moe-token-dispatcher-type": "alltoall"}


IMAGE = "CONTAINER_IMAGE=/images/m.sqsh"
BESIDE = ("PP=4", "PP_LAYOUT=Et*8|t*8|t*8|t*8L", "VPP=1")
NO_EFFECT = (
    (("A2A_OVERLAP=1",), "laptop", "A2A_OVERLAP=1 (command line) has no effect", "--overlap-moe-expert-parallel-comm"),
    (("TP_COMM_OVERLAP=1", "TP=2"), "laptop", "TP_COMM_OVERLAP=1 (command line) has no effect", "--tp-comm-overlap"),
    (("TP_COMM_OVERLAP=1",), "template", "TP_COMM_OVERLAP=1 (command line) has no effect at TP=1", "--tp-comm-overlap"),
    (("PROFILE=1",), "laptop", "PROFILE=1 has no effect on CPU ranks", "--profile"),
    (
        ("VPP=2", "PP=1"),
        "template",
        "VPP=2 (command line) has no effect at PP=1",
        "--num-virtual-stages-per-pipeline-rank",
    ),
    (
        BESIDE,
        "template",
        "VPP=1 has no effect beside PP_LAYOUT (command line)",
        "--num-virtual-stages-per-pipeline-rank",
    ),
    (("TE_VERSION=2.0",), "template", "no permute fusion: it needs Transformer Engine 2.1", "--moe-permute-fusion"),
    (("TE_VERSION=2.7", "A2A_OVERLAP=1"), "template", "no --delay-wgrad-compute: it needs", "--delay-wgrad-compute"),
    (
        ("CONTAINER_RUNTIME=none", IMAGE),
        "template",
        f"CONTAINER_RUNTIME=none: the job runs on the bare nodes, and {IMAGE}",
        "",
    ),
)


@pytest.mark.parametrize(("words", "cluster", "said", "left_out"), NO_EFFECT)
def test_what_has_no_effect_is_said_and_left_out(resolve, words, cluster: str, said: str, left_out: str) -> None:
    resolved = resolve("MODEL=Mixtral-8x7B", *words, cluster=cluster)
    assert any(notice.startswith(said) for notice in resolved.notices)
    assert left_out not in resolved.megatron_args


@pytest.mark.parametrize(
    ("steps", "first", "last"), [(50, "10", "12"), (12, "10", "12"), (11, "10", "11"), (10, "9", "10"), (1, "0", "1")]
)
def test_profiled_steps_are_among_those_that_run(resolve, steps: int, first: str, last: str) -> None:
    flags = resolve("MODEL=Mixtral-8x7B", "PROFILE=1", f"TRAIN_ITERS={steps}", cluster="template").megatron_args
    assert (flags.text("--profile-step-start"), flags.text("--profile-step-end")) == (first, last)
    assert flags["--profile-ranks"] == ("0",)


def test_at_least_one_layer_has_experts(resolve) -> None:
    flags = resolve("MODEL=DeepSeek-V3", "NUM_LAYERS=4", "DENSE_LAYERS=3", "PP=1").megatron_args
    assert flags.text("--moe-layer-freq") == "([0]*3+[1]*1)"
    with pytest.raises(ConfigError, match=r"DENSE_LAYERS=4 leaves no MoE layer of NUM_LAYERS=4; allowed: 0 to 3"):
        resolve("MODEL=DeepSeek-V3", "NUM_LAYERS=4", "DENSE_LAYERS=4", "PP=1")


def test_fp8_parameters_are_gathered_where_the_release_and_the_optimizer_can(resolve) -> None:
    def gathers(*words: str) -> bool:
        return resolve("MODEL=Mixtral-8x7B", *words, cluster="template").megatron_args.switch("--fp8-param-gather")

    assert gathers("PR=fp8", "MCORE_RELEASE_VERSION=0.11")
    assert not gathers("PR=mxfp8", "MCORE_RELEASE_VERSION=0.12")
    assert gathers("PR=mxfp8", "MCORE_RELEASE_VERSION=0.13")
    assert not gathers("PR=mxfp8", "OPTIMIZER_OFFLOAD=1")


def test_profiling(resolve) -> None:
    nsys, torch = (resolve("MODEL=Mixtral-8x7B", f"PROFILE={value}", cluster="template") for value in ("1", "torch"))
    assert nsys.megatron_args.switch("--profile")
    assert "--use-pytorch-profiler" not in nsys.megatron_args
    assert torch.megatron_args.switch("--use-pytorch-profiler")


def test_long_context(resolve) -> None:
    def limit(model: str, *words: str) -> str:
        flags = resolve(f"MODEL={model}", "SEQ_LEN=65536", *words, cluster="template").megatron_args
        return flags.text("--max-position-embeddings")

    assert limit("Mixtral-8x7B") == "65536"
    assert limit("DeepSeek-V3") == "65536"
    assert limit("DeepSeek-V3", "MCORE_RELEASE_VERSION=0.13", "PRETRAIN=1") == "65536"
    with pytest.raises(ConfigError, match="YaRN's original length"):
        limit("DeepSeek-V3", "MCORE_RELEASE_VERSION=0.13")
    # Moonlight stretches nothing, so its limit is only a limit
    assert limit("Moonlight-16B-A3B", "MCORE_RELEASE_VERSION=0.13", "LOAD_PATH=/ckpt") == "65536"


def test_pretrain(resolve) -> None:
    scratch = resolve("MODEL=DeepSeek-V3", "PRETRAIN=1", cluster="template").megatron_args
    loaded = resolve("MODEL=DeepSeek-V3", "LOAD_PATH=/ckpt", cluster="template").megatron_args
    assert "--load" not in scratch
    assert scratch.text("--lr") == "2.2e-4"
    assert loaded.text("--load") == "/ckpt"
    assert loaded.text("--lr") == "7.3e-6"
    assert resolve("MODEL=DeepSeek-V3", "LOAD_PATH=/ckpt").megatron_args.text("--load") == "/ckpt"
    assert "--load" not in resolve("MODEL=DeepSeek-V3").megatron_args


def test_null_tokenizer_counts_its_end_of_document_by_release(resolve) -> None:
    def size(release: str) -> str:
        return resolve("MODEL=Mixtral-8x7B", f"MCORE_RELEASE_VERSION={release}").megatron_args.text("--vocab-size")

    assert (size("0.17"), size("0.18")) == ("256", "257")


def test_wandb_says_which_mode_and_why(resolve) -> None:
    keyed = resolve("MODEL=DeepSeek-V3", cluster="template", environ={"WANDB_API_KEY": "secret-key"})
    assert keyed.env["WANDB_MODE"] == keyed.text("WANDB_MODE") == "online"
    assert keyed.megatron_args.text("--wandb-exp-name") == "DeepSeek-V3-TP1PP16EP64CP1VPP1-MBS1GBS8192-v0.19"
    assert "secret-key" not in str(keyed)
    without = resolve("MODEL=DeepSeek-V3", cluster="template")
    assert any(notice.startswith("WandB: disabled") for notice in without.notices)
    asked = resolve("MODEL=DeepSeek-V3", "WANDB_MODE=online", cluster="template")
    assert asked.env["WANDB_MODE"] == "offline"
    assert any(notice.startswith("WandB: offline") for notice in asked.notices)

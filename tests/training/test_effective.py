"""What was asked beside what was in effect."""

import json

import pytest

from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.provenance import Resolved
from harness.training.asked import asked_of
from harness.training.effective import Setup, differences
from harness.training.log.arguments_dump import setup_of
from harness.training.log.engine_statement import parse_in_effect, parse_peak_memory
from harness.training.log.parser import LogParser
from harness.training.log.samples import PeakMemory

STATED = {
    "world_size": 4, "tp": 2, "pp": 1, "vpp": None, "ep": 2, "etp": 1, "cp": 1, "dp": 2,
    "dispatcher": "alltoall", "precision": "bf16", "grouped_gemm": True, "device": "cpu", "mtp_layers": 1,
    "versions": {"torch": "2.15.0", "megatron-core": "0.19.2", "cuda": None}, "hosts": ["node1"], "gpu": None,
    "flops_per_step": 1.5e12,
}  # fmt: skip


def resolved(flags: dict[str, ArgValue]) -> Resolved:
    return Resolved(settings={"NNODES": 2, "GPUS_PER_NODE": 8}, megatron_args=MegatronArgs(flags), env={})


def test_the_engines_statement_is_read_whole() -> None:
    found = parse_in_effect("0: moe-harness: in effect " + json.dumps(STATED))
    assert found is not None
    assert found.setup == Setup(
        world_size=4, tp=2, pp=1, ep=2, etp=1, cp=1, dp=2,
        dispatcher="alltoall", precision="bf16", grouped_gemm=True, mtp_layers=1,
    )  # fmt: skip
    assert found.versions == {"torch": "2.15.0", "megatron-core": "0.19.2"}
    assert (found.device, found.gpu, found.hosts, found.flops_per_step) == ("cpu", None, ("node1",), 1.5e12)


def test_a_value_of_another_type_is_left_out() -> None:
    odd = {"tp": "2", "pp": True, "ep": 2.0, "dispatcher": 1, "grouped_gemm": 1, "hosts": "n", "flops_per_step": "x"}
    found = parse_in_effect("moe-harness: in effect " + json.dumps(odd))
    assert found is not None
    assert (found.setup, found.hosts, found.flops_per_step) == (Setup(), (), None)


@pytest.mark.parametrize("torn", ["", '{"world_size": 4', "[1, 2]", "null", "{'tp': 1}", "[" * 100_000])
def test_a_torn_statement_states_nothing(torn: str) -> None:
    assert parse_in_effect("moe-harness: in effect " + torn) is None
    assert parse_peak_memory("moe-harness: peak memory " + torn) is None


def test_peak_memory_needs_every_ranks_figure() -> None:
    whole = 'moe-harness: peak memory {"per_rank_bytes": [10, 30, 20], "kind": "rss"}'
    assert parse_peak_memory(whole) == PeakMemory(per_rank_bytes=(10, 30, 20), kind="rss")
    assert parse_peak_memory(whole.replace("30", "null")) is None
    assert parse_peak_memory(whole.replace("[10, 30, 20]", "[]")) is None


def test_the_stated_world_size_decides_tokens_per_gpu() -> None:
    parser = LogParser(seq_len=100, world_size=8)
    parser.feed("moe-harness: in effect " + json.dumps(STATED))
    sample = parser.feed(
        " [2025-03-04 10:20:30] iteration        1/      50 | elapsed time per iteration (ms): 500.0 |"
        " global batch size:     8 | number of skipped iterations:   0 | number of nan iterations:   0 |"
    )
    assert sample is not None
    assert sample.tokens_per_s_per_gpu == 8 * 100 / 0.5 / 4


def test_what_the_flags_ask_for() -> None:
    asked = asked_of(
        resolved(
            {
                "--tensor-model-parallel-size": "2",
                "--pipeline-model-parallel-size": "2",
                "--expert-model-parallel-size": "4",
                "--num-experts": "64",
                "--moe-token-dispatcher-type": "flex",
                "--moe-grouped-gemm": True,
                "--bf16": True,
                "--mtp-num-layers": "1",
            }
        )
    )
    assert asked == Setup(
        world_size=16, tp=2, pp=2, vpp=1, ep=4, etp=2, cp=1, dp=4,
        dispatcher="flex:deepep", precision="bf16", grouped_gemm=True, mtp_layers=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "dispatcher"),
    [
        ({}, "allgather"),
        ({"--moe-token-dispatcher-type": "alltoall"}, "alltoall"),
        ({"--moe-token-dispatcher-type": "flex", "--moe-enable-deepep": True}, "flex:deepep"),
        ({"--moe-token-dispatcher-type": "flex", "--moe-flex-dispatcher-backend": "hybridep"}, "flex:hybridep"),
    ],
)
def test_the_dispatcher_asked_for_is_worded_as_the_one_in_effect(flags: dict[str, ArgValue], dispatcher: str) -> None:
    assert asked_of(resolved({"--num-experts": "8", **flags})).dispatcher == dispatcher


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ({}, "fp32"),
        ({"--fp16": True}, "fp16"),
        ({"--bf16": True}, "bf16"),
        ({"--bf16": True, "--fp8-format": "hybrid"}, "fp8"),
        ({"--bf16": True, "--fp8-format": "e4m3", "--fp8-recipe": "mxfp8"}, "mxfp8"),
        ({"--bf16": True, "--fp4-format": "e2m1"}, "nvfp4"),
    ],
)
def test_the_lowest_precision_counts(flags: dict[str, ArgValue], precision: str) -> None:
    assert asked_of(resolved(flags)).precision == precision


def test_differences_name_what_ran_otherwise_and_nothing_unsaid() -> None:
    asked = Setup(world_size=8, dispatcher="flex", precision="bf16", grouped_gemm=True)
    found = Setup(world_size=8, dispatcher="alltoall", tp=2, grouped_gemm=False)
    assert [str(it) for it in differences(asked, found)] == [
        "dispatcher: asked flex, in effect alltoall",
        "grouped_gemm: asked True, in effect False",
    ]


@pytest.mark.parametrize(
    "asking",
    [
        {"--num-virtual-stages-per-pipeline-rank": "2"},
        {"--num-layers-per-virtual-pipeline-stage": "4"},
        {"--pipeline-model-parallel-layout": "Ettt|(tttt|)*3tL"},
    ],
    ids=lambda asking: next(iter(asking)),
)
def test_virtual_stages_that_did_not_come_are_a_difference_however_they_were_asked_for(
    asking: dict[str, ArgValue],
) -> None:
    asked = asked_of(resolved({"--num-layers": "16", "--pipeline-model-parallel-size": "2", **asking}))
    assert asked.vpp == 2
    printed = setup_of({"virtual_pipeline_model_parallel_size": "None", "pipeline_model_parallel_size": "2"})
    assert [str(it) for it in differences(asked, printed)] == ["vpp: asked 2, in effect 1"]

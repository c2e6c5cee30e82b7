"""Mappings and layouts read from flags."""

import pytest

from harness.arch.layout import layout_problems, layout_stages
from harness.arch.parallel import Batch, Parallel, batch, parallel
from harness.config.megatron_args import MegatronArgs


def test_grids_and_replicas() -> None:
    args = MegatronArgs(
        {
            "--tensor-model-parallel-size": "2",
            "--pipeline-model-parallel-size": "8",
            "--context-parallel-size": "2",
            "--expert-model-parallel-size": "32",
            "--expert-tensor-parallel-size": "1",
        }
    )
    mapping = parallel(args, 1024)
    assert mapping == Parallel(world_size=1024, tp=2, cp=2, pp=8, vpp=1, ep=32, etp=1)
    assert (mapping.dp, mapping.edp) == (32, 4)


def test_experts_are_split_like_the_rest_unless_told() -> None:
    assert parallel(MegatronArgs({"--tensor-model-parallel-size": "4"}), 8).etp == 4


@pytest.mark.parametrize(
    ("flags", "vpp"),
    [
        ({}, 1),
        ({"--num-virtual-stages-per-pipeline-rank": "7"}, 7),
        ({"--num-layers-per-virtual-pipeline-stage": "2"}, 3),
        ({"--num-layers-per-virtual-pipeline-stage": "3"}, 2),
        ({"--pipeline-model-parallel-layout": "Ett|(tt|)*6tt|(t|)*7tL"}, 4),
    ],
)
def test_virtual_stages(flags: dict[str, str], vpp: int) -> None:
    base = {"--num-layers": "24", "--pipeline-model-parallel-size": "4"}
    assert parallel(MegatronArgs({**base, **flags}), 4).vpp == vpp


def test_a_batch_without_a_size_is_one_micro_batch_a_replica() -> None:
    args = MegatronArgs({"--micro-batch-size": "2", "--seq-length": "4096"})
    assert batch(args, dp=8) == Batch(micro=2, global_=16, seq_len=4096)


@pytest.mark.parametrize("layout", ["Et*3|(tt|)*29,m|L", "E|(t|)*4L", "Et*2,tL", "(Et|)*2tL"])
def test_layouts_are_read_as_megatron_reads_them(layout: str) -> None:
    module = pytest.importorskip("megatron.core.transformer.pipeline_parallel_layer_layout")
    theirs = module.PipelineParallelLayerLayout.parse_str_to_list(layout)
    letters = {"embedding": "E", "decoder": "t", "mtp": "m", "loss": "L"}
    assert layout_stages(layout) == tuple("".join(letters[entry.name] for entry in stage) for stage in theirs)


def test_layout_problems_come_all_at_once() -> None:
    assert layout_problems("ttm|t|tL", pp=2, num_layers=5, mtp_layers=0) == [
        "has 3 stages, which PP=2 does not divide",
        "must hold one E, and begin with it",
        "holds 4 layers (t), but --num-layers is 5",
        "holds 1 MTP modules (m), but --mtp-num-layers is 0",
    ]
    assert layout_problems("Et|tmL", pp=2, num_layers=2, mtp_layers=None) == []
    assert layout_problems("Em|tL", pp=2, num_layers=1, mtp_layers=1) == ["has a layer (t) after an MTP module (m)"]

"""Tensors of every rank against those that Megatron builds there: all families small, all models whole."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from math import lcm
from pathlib import Path
from typing import Any

import pytest
from test_built_model import FLAGS, small

from harness.arch.model import model_arch
from harness.arch.parallel import Parallel, parallel
from harness.arch.parameters import count_parameters
from harness.arch.shards import RankParameters, rank_parameters, stage_weights
from harness.arch.stages import Stage, pipeline
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.provenance import Resolved
from harness.errors import ConfigError

HERE = Path(__file__).parent
NAMES = {
    "tp": "--tensor-model-parallel-size",
    "pp": "--pipeline-model-parallel-size",
    "cp": "--context-parallel-size",
    "ep": "--expert-model-parallel-size",
    "etp": "--expert-tensor-parallel-size",
    "vpp": "--num-virtual-stages-per-pipeline-rank",
    "layout": "--pipeline-model-parallel-layout",
    "first": "--decoder-first-pipeline-num-layers",
    "last": "--decoder-last-pipeline-num-layers",
}


def spread(args: MegatronArgs, **mapping: int | str) -> MegatronArgs:
    """A model under a mapping in the names of `NAMES`; other names are flags themselves, e.g. `num_layers`."""
    flags: dict[str, ArgValue] = {
        NAMES.get(key, f"--{key.replace('_', '-')}"): True if value is True else str(value)
        for key, value in mapping.items()
    }
    batch = {"--micro-batch-size": "1", "--global-batch-size": "64"}
    parallel_flags = {"--sequence-parallel": True} if mapping.get("tp", 1) != 1 else {}
    return MegatronArgs({**args, **batch, **parallel_flags, **flags})


# Sizes that many mappings divide, so that each family runs under each of them.
EVEN: dict[str, ArgValue] = {"--vocab-size": "301", "--make-vocab-size-divisible-by": "7"}
SIZES = {"--num-attention-heads": "8", "--num-query-groups": "4", "--q-lora-rank": "24", "--kv-lora-rank": "16"}


def even(name: str, **changes: ArgValue) -> MegatronArgs:
    """A family at small sizes that 4 divides."""
    args = small(name, **changes)
    return MegatronArgs({**args, **EVEN, **{flag: size for flag, size in SIZES.items() if flag in args}})


def layers(count: int) -> dict[str, str]:
    """So many layers, the first one dense."""
    return {"num_layers": str(count), "moe_layer_freq": f"([0]*1+[1]*{count - 1})"}


SPREADS: dict[str, dict[str, int | str]] = {
    "one rank": {},
    "TP2": {"tp": 2},
    "TP4 ETP1 EP4": {"tp": 4, "ep": 4, "etp": 1},
    "TP2 ETP2 EP2 CP2": {"tp": 2, "etp": 2, "ep": 2, "cp": 2},
    "ETP2 of TP4": {"tp": 4, "ep": 2, "etp": 2},
    "ETP4 of TP2": {"tp": 2, "ep": 2, "etp": 4, "cp": 2},
    "PP2 EP4": {"pp": 2, "ep": 4, **layers(4)},
    "PP2 VPP2 TP2": {"pp": 2, "vpp": 2, "tp": 2, "ep": 2, "etp": 1, **layers(8)},
    "PP4 VPP3": {"pp": 4, "vpp": 3, **layers(12)},
    "layers per stage": {"pp": 2, "num_layers_per_virtual_pipeline_stage": 1, **layers(6)},
    "first": {"pp": 3, "first": 2, **layers(6)},
    "last": {"pp": 3, "last": 1, **layers(5)},
    "first and last": {"pp": 4, "first": 2, "last": 1, **layers(7)},
    "first and last, PP2": {"pp": 2, "first": 3, "last": 1, **layers(4)},
    "first and last, VPP2": {"pp": 3, "vpp": 2, "first": 2, "last": 4, **layers(10)},
    "embedding counts": {"pp": 2, "account_for_embedding_in_pipeline_split": True, **layers(5)},
    "loss counts": {"pp": 2, "account_for_loss_in_pipeline_split": True, **layers(5)},
    "both count, VPP2": {
        "pp": 2,
        "vpp": 2,
        "account_for_embedding_in_pipeline_split": True,
        "account_for_loss_in_pipeline_split": True,
        **layers(6),
    },
    "both stand alone": {
        "pp": 4,
        "account_for_embedding_in_pipeline_split": True,
        "account_for_loss_in_pipeline_split": True,
        **layers(2),
    },
    "layout": {"pp": 2, "layout": "Et|tt|(t|)*1tL", **layers(5)},
    "layout with bare ends": {"pp": 2, "layout": "E|tt|tt|L", **layers(4)},
}
WITH_MTP: dict[str, dict[str, int | str]] = {
    "MTP, PP2": {"pp": 2, "mtp_num_layers": 1, **layers(4)},
    "MTP, PP2 VPP2": {"pp": 2, "vpp": 2, "mtp_num_layers": 2, "tp": 2, "ep": 2, **layers(8)},
    "MTP, last": {"pp": 2, "last": 1, "mtp_num_layers": 1, **layers(4)},
    "MTP with the loss": {"pp": 2, "layout": "Ett|tmL", "mtp_num_layers": 1, **layers(3)},
    "MTP before the loss": {"pp": 2, "layout": "E|tt|tm|L", "mtp_num_layers": 1, **layers(3)},
    "MTP without layers": {"pp": 4, "layout": "Et|t|m|L", "mtp_num_layers": 1, **layers(2)},
    "MTP after empty stages": {"pp": 4, "layout": "Ett|t|t|t|t||m|L", "mtp_num_layers": 1, **layers(6)},
    "MTP on the first rank": {"pp": 2, "layout": "Et|t|tmm|L", "mtp_num_layers": 2, **layers(3)},
}
TIED = {"untie_embeddings_and_output_weights": False}
KINDS: dict[str, MegatronArgs] = {
    **{name: even(name) for name in FLAGS},
    "tied": even("Mixtral-8x7B", **TIED),
    "tied DeepSeek": even("DeepSeek-V3", **TIED),
    "learned positions": even("Mixtral-8x7B", position_embedding_type="learned_absolute"),
    "learned and tied": even("Mixtral-8x7B", position_embedding_type="learned_absolute", **TIED),
    "biases": even("Mixtral-8x7B", disable_bias_linear=False),
    "query and key norms": even("Qwen2-57B-A14B", qk_layernorm=True),
    "no SwiGLU": even("Mixtral-8x7B", swiglu=False),
    "multi-head attention": even("Mixtral-8x7B", group_query_attention=False),
    "grouped GEMM": even("Qwen2-57B-A14B", moe_grouped_gemm=True),
}


def legal(kind: str, mapping: dict[str, int | str]) -> bool:
    """Megatron has no MTP beside learned positions, and no biases in experts that ETP splits."""
    if "learned" in kind:
        return "mtp_num_layers" not in mapping
    return kind != "biases" or mapping.get("etp", mapping.get("tp", 1)) == 1


def grid(args: MegatronArgs) -> Parallel:
    """The mapping, on the fewest ranks that both grids divide."""
    mapping = parallel(args, 1)
    return parallel(args, lcm(mapping.dense_grid, mapping.expert_grid))


def ask(models: Iterable[MegatronArgs], *, down_projections: bool) -> list[Any]:
    """What Megatron builds of each, by rank and virtual stage."""
    listed = [
        {"argv": args.argv(), "world_size": grid(args).world_size, "down_projections": down_projections}
        for args in models
    ]
    search = os.pathsep.join(map(str, (HERE.parents[1], HERE.parent)))
    environ = {**os.environ, "PYTHONPATH": search, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    program = [sys.executable, HERE / "ranks_by_megatron.py"]
    done = subprocess.run(program, input=json.dumps(listed), capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[Any] = json.loads(done.stdout)
    return answers


SMALL_JOBS = {
    f"{kind}: {how}": spread(args, **mapping)
    for kind, args in KINDS.items()
    for how, mapping in {**SPREADS, **WITH_MTP}.items()
    if legal(kind, mapping)
}
# Megatron's local layers split MLA's down projections by TP, Transformer Engine's do not; nothing else differs.
LOCAL_JOBS = {name: args for name, args in SMALL_JOBS.items() if "DeepSeek" in name and grid(args).tp > 1}
PRESET_FLAGS = {*NAMES.values(), "--mtp-num-layers", "--sequence-parallel"}


def whole(name: str, resolve: Callable[..., Resolved]) -> MegatronArgs:
    """A whole model under its preset mapping."""
    resolved = resolve(f"MODEL={name}", "PROXY=none", "DATASET=mock", "PRETRAIN=1", cluster="template")
    preset = {flag: value for flag, value in resolved.megatron_args.items() if flag in PRESET_FLAGS}
    return spread(MegatronArgs({**FLAGS[name], **preset}))


def assert_equal(args: MegatronArgs, built: Any, *, transformer_engine: bool) -> None:
    """Each tensor of each virtual stage of each rank has its size, and sums are those over what Megatron marks."""
    arch, mapping = model_arch(args), grid(args)
    stages = pipeline(args)
    assert len(stages) == len(built)
    for of_rank, theirs in zip(stages, built, strict=True):
        ours = [stage_weights(arch, stage, mapping, transformer_engine=transformer_engine) for stage in of_rank]
        assert ours == [{**stage["dense"], **stage["expert"]} for stage in theirs]
        sums = rank_parameters(arch, of_rank, mapping, transformer_engine=transformer_engine)
        assert sums.total == sum(sum(count.values()) for stage in theirs for count in stage.values())
        if mapping.ep > 1:  # else Megatron reduces experts with the rest, over groups of the same size
            assert sums.expert == sum(sum(stage["expert"].values()) for stage in theirs)


@pytest.fixture(scope="module")
def built_small() -> dict[str, Any]:
    """What Megatron builds of each of `SMALL_JOBS`, MLA as with Transformer Engine."""
    return dict(zip(SMALL_JOBS, ask(SMALL_JOBS.values(), down_projections=True), strict=True))


@pytest.fixture(scope="module")
def built_local() -> dict[str, Any]:
    """What Megatron builds of each of `LOCAL_JOBS` from its local layers."""
    return dict(zip(LOCAL_JOBS, ask(LOCAL_JOBS.values(), down_projections=False), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL_JOBS)
def test_every_tensor_of_every_rank_is_as_megatron_builds_it(name: str, built_small: dict[str, Any]) -> None:
    assert_equal(SMALL_JOBS[name], built_small[name], transformer_engine=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOCAL_JOBS)
def test_local_layers_split_the_down_projections_too(name: str, built_local: dict[str, Any]) -> None:
    assert_equal(LOCAL_JOBS[name], built_local[name], transformer_engine=False)


@pytest.mark.slow
def test_whole_models_under_their_preset_mapping(resolve: Callable[..., Resolved]) -> None:
    models = [whole(name, resolve) for name in FLAGS]
    for args, built in zip(models, ask(models, down_projections=True), strict=True):
        assert_equal(args, built, transformer_engine=True)


def test_ranks_of_a_pipeline_hold_the_whole_model() -> None:
    args = spread(even("DeepSeek-V2"), pp=2, **layers(4))
    arch, mapping = model_arch(args), grid(args)
    ranks = [rank_parameters(arch, stages, mapping) for stages in pipeline(args)]
    assert sum(rank.total for rank in ranks) == count_parameters(arch).total


def test_sums_are_those_of_the_tensors() -> None:
    arch = model_arch(spread(even("Mixtral-8x7B"), tp=2))  # which pads the vocabulary
    stage = Stage(layers=(0, 2), embedding=True)
    mapping = Parallel(world_size=8, tp=2, ep=4, etp=1)
    tensors = stage_weights(arch, stage, mapping)
    experts = sum(size for place, size in tensors.items() if ".experts." in place)
    counted = rank_parameters(arch, [stage, stage], mapping)
    assert counted == RankParameters(dense=2 * (sum(tensors.values()) - experts), expert=2 * experts)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (Parallel(world_size=1, tp=5), "linear_qkv has 256 outputs, which TP=5 does not divide"),
        (Parallel(world_size=1, ep=3), "experts.linear_fc1 has 16 experts, which EP=3 does not divide"),
        (Parallel(world_size=1, etp=3), "experts.linear_fc1 has 160 outputs, which ETP=3 does not divide"),
    ],
)
def test_what_does_not_divide_is_named(mapping: Parallel, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        rank_parameters(model_arch(even("Mixtral-8x7B")), [Stage(layers=(0,))], mapping)
    assert str(error.value) == message

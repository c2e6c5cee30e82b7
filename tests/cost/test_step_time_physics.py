"""What no machine does, the model does not: faster hardware never slows a step, more work never speeds it."""

from dataclasses import replace
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_step_time import gpu, job

from harness.cost.flops import hardware_flops_per_step
from harness.cost.hardware import Gpu
from harness.cost.step_time import step_time
from harness.cost.training import Recompute, Training

MAPPINGS = (
    "MODEL=DeepSeek-V3 TP=2 PP=8 VPP=4 EP=64 NNODES=128 GBS=8192 PR=fp8",
    "MODEL=DeepSeek-V3 TP=1 PP=16 EP=8 NNODES=2048 GBS=16384 A2A_OVERLAP=1",
    "MODEL=DeepSeek-V2-Lite TP=1 PP=1 EP=1 NNODES=1 GPUS_PER_NODE=1 GBS=4",
    "MODEL=DeepSeek-V2-Lite TP=1 PP=1 EP=8 NNODES=2 GBS=64 MBS=2",
    "MODEL=Mixtral-8x22B TP=2 PP=8 VPP=7 EP=8 NNODES=16 GBS=256",
    "MODEL=Mixtral-8x22B TP=4 PP=8 EP=2 ETP=4 CP=8 NNODES=32 GBS=64 SEQ_LEN=131072",
    "MODEL=Qwen2-57B-A14B TP=4 PP=1 EP=4 ETP=4 NNODES=8 GBS=256",
    "MODEL=Qwen3-235B-A22B TP=2 PP=8 EP=32 NNODES=32 GBS=2048 MOE_TOKEN_DISPATCHER=alltoall",
    "MODEL=Qwen3-30B-A3B TP=1 PP=1 EP=16 NNODES=2 GBS=512 A2A_OVERLAP=1",
)
GPU_NAMES = ("H100", "B200", "GB200", "GB300")
NOT_EXACT = 1 + 1e-9
FASTER = ("hbm_bytes_per_s", "nvlink_bytes_per_s", "nic_bytes_per_s", "peak_flops", "sustained")
MODULES = ("core_attn", "layernorm", "mla_up_proj", "mlp", "moe", "moe_act", "shared_experts")


@lru_cache
def job_of(words: str) -> Training:
    return job(*words.split())


jobs = st.sampled_from(MAPPINGS).map(job_of)
gpus = st.sampled_from(GPU_NAMES).map(gpu)
factors = st.floats(1.0, 8.0)


def total_s(it: Training, of: Gpu) -> float:
    return step_time(it, of).total_s


def faster(of: Gpu, name: str, factor: float) -> Gpu:
    value = getattr(of, name)
    if name == "peak_flops":
        return replace(of, peak_flops={kind: peak * factor for kind, peak in value.items()})
    return replace(of, **{name: value * factor})


@settings(max_examples=60)
@given(it=jobs, of=gpus, name=st.sampled_from(FASTER), factor=factors)
def test_a_faster_part_never_slows_a_step(it: Training, of: Gpu, name: str, factor: float) -> None:
    assert total_s(it, faster(of, name, factor)) <= total_s(it, of) * NOT_EXACT


@settings(max_examples=40)
@given(it=jobs, of=gpus, imbalance=factors)
def test_an_uneven_load_never_speeds_a_step(it: Training, of: Gpu, imbalance: float) -> None:
    uneven = replace(it, imbalance=it.imbalance * imbalance, capacity_factor=None)
    assert total_s(uneven, of) >= total_s(replace(it, capacity_factor=None), of) / NOT_EXACT


@settings(max_examples=60)
@given(it=jobs, of=gpus, modules=st.sets(st.sampled_from(MODULES), min_size=1), more=st.sampled_from(MODULES))
def test_recomputing_more_never_speeds_a_step(it: Training, of: Gpu, modules: set[str], more: str) -> None:
    none = replace(it, recompute=Recompute())
    some, others = (
        replace(it, recompute=Recompute(granularity="selective", modules=frozenset(found)))
        for found in (modules, modules | {more})
    )
    full = replace(it, recompute=Recompute(granularity="full"))
    times = [total_s(one, of) for one in (none, some, others, full)]
    assert times[0] <= times[1] * NOT_EXACT
    assert times[1] <= times[2] * NOT_EXACT
    assert times[0] < times[3]


@settings(max_examples=40)
@given(it=jobs, of=gpus, times=st.integers(2, 8))
def test_longer_sequences_and_larger_batches_take_longer(it: Training, of: Gpu, times: int) -> None:
    size = it.batch
    for larger in (size._replace(seq_len=size.seq_len * times), size._replace(global_=size.global_ * times)):
        assert total_s(replace(it, batch=larger), of) > total_s(it, of)


@settings(max_examples=40)
@given(it=jobs, of=gpus)
def test_no_gpu_computes_beyond_its_peak(it: Training, of: Gpu) -> None:
    peak = of.peak(it.precision)
    assert peak is not None
    rate = hardware_flops_per_step(it) / it.parallel.world_size / total_s(it, of)
    assert rate < 0.95 * peak


@pytest.mark.parametrize("gpu_name", GPU_NAMES)
def test_more_gpus_of_one_mapping_never_take_longer(gpu_name: str) -> None:
    words = "MODEL=Mixtral-8x22B TP=2 PP=4 EP=8 GBS=2048"
    times = [total_s(job_of(f"{words} NNODES={nodes}"), gpu(gpu_name)) for nodes in (8, 16, 32, 64, 128)]
    assert times == sorted(times, reverse=True)

"""The step-time model behaves as machines do. How well it hits published figures is test_score's matter."""

from dataclasses import replace

import pytest
from planned import planned

from harness.arch.precision import Precision
from harness.config.megatron_args import MegatronArgs
from harness.config.releases import Release
from harness.cost.constants import FITTED
from harness.cost.hardware import GPUS, Gpu, find_gpu
from harness.cost.step_time import StepTime, step_time
from harness.cost.training import Graphs, Recompute, Training
from harness.cost.training_flags import WHOLE_LAYER, training
from harness.errors import ConfigError


def gpu(name: str) -> Gpu:
    found = find_gpu(name)
    assert found is not None
    return found


def job(*words: str, extra: tuple[str, ...] = ()) -> Training:
    resolved = planned(*words, extra=extra)
    ranks = resolved.integer("NNODES") * resolved.integer("GPUS_PER_NODE")
    return training(resolved.megatron_args, ranks, name=resolved.text("MODEL"))


V3 = ("MODEL=DeepSeek-V3", "TP=2", "PP=8", "VPP=4", "EP=64", "NNODES=128", "GBS=8192", "PR=fp8")


@pytest.fixture(scope="module")
def v3() -> Training:
    return job(*V3)


def predicted(it: Training, name: str = "H100") -> StepTime:
    return step_time(it, gpu(name))


def test_parts_add_up_and_none_is_negative(v3: Training) -> None:
    found = predicted(v3)
    assert min(found.parts_s.values()) >= 0
    assert sum(found.parts_s.values()) == pytest.approx(found.total_s)


def test_every_part_of_a_job_that_does_everything_takes_time() -> None:
    words = ("TP=2", "PP=2", "EP=8", "CP=8", "NNODES=16", "GBS=64")
    found = predicted(job("MODEL=Mixtral-8x22B", *words, "PP_FIRST=", "PP_LAST="))
    assert set(found.parts_s) == {
        *(
            "dense GEMMs",
            "expert GEMMs",
            "attention",
            "element-wise kernels",
            "waiting for the host",
            "pipeline bubble",
        ),
        *("TP communication", "CP communication", "EP communication", "pipeline send", "gradients and weights"),
        *("optimizer", "step overhead", "jitter"),
    }
    assert min(found.parts_s.values()) > 0


def test_a_step_takes_longer_than_its_operations_at_the_peak(v3: Training) -> None:
    from harness.cost.flops import megatron_flops_per_step

    flops = megatron_flops_per_step(v3.arch, sequences=8192, seq_len=4096) / 1024
    peak = gpu("H100").peak(v3.precision)
    assert peak is not None
    assert predicted(v3).total_s > flops / peak


@pytest.mark.parametrize(
    ("change", "part", "direction"),
    [
        ({"recompute": Recompute(granularity="full")}, "dense GEMMs", 1),
        ({"recompute": Recompute(granularity="selective", modules=frozenset({"mlp", "moe"}))}, "EP communication", 1),
        ({"imbalance": 2.0}, "expert GEMMs", 1),
        ({"dispatcher": "alltoall"}, "EP communication", 1),
        ({"graphs": Graphs(full=True)}, "waiting for the host", -1),
        ({"capacity_factor": 1.0}, "expert GEMMs", -1),
        ({"static_shapes": True}, "EP communication", -1),
        ({"graphs": Graphs(full=True)}, "EP communication", -1),
        ({"graphs": Graphs(full=True)}, "step overhead", -1),
        ({"dispatcher": "allgather"}, "EP communication", 1),
    ],
)
def test_what_costs_more(v3: Training, change: dict[str, object], part: str, direction: int) -> None:
    before, after = predicted(v3), predicted(replace(v3, **change))  # type: ignore[arg-type]
    assert (after.parts_s[part] - before.parts_s[part]) * direction > 0
    assert (after.total_s - before.total_s) * direction > 0


def test_overlap_hides_the_exchange_but_not_all_of_it(v3: Training) -> None:
    hidden = replace(v3, overlap=v3.overlap._replace(expert=True))
    assert 0 < predicted(hidden).parts_s["EP communication"] < predicted(v3).parts_s["EP communication"]


def test_virtual_stages_shrink_the_bubble() -> None:
    bubbles = [
        predicted(job("MODEL=Mixtral-8x22B", "TP=2", "PP=8", f"VPP={vpp}", "EP=8", "NNODES=16", "GBS=256"))
        for vpp in (1, 7)
    ]
    assert bubbles[0].parts_s["pipeline bubble"] == pytest.approx(7 * bubbles[1].parts_s["pipeline bubble"], rel=0.1)


def test_a_wider_nvlink_domain_carries_the_exchange(v3: Training) -> None:
    assert predicted(v3, "GB200").parts_s["EP communication"] < predicted(v3, "B200").parts_s["EP communication"]


@pytest.mark.parametrize("name", [it.name for it in GPUS])
def test_a_grace_cpu_launches_kernels_more_slowly(v3: Training, name: str) -> None:
    bf16, slow = replace(v3, precision=Precision.BF16), replace(FITTED, host_grace=2 * FITTED.host_grace)
    on_grace = name.startswith("GB")  # NVIDIA's name for a Grace CPU beside Blackwell GPUs
    assert (step_time(bf16, gpu(name), slow).total_s > step_time(bf16, gpu(name), FITTED).total_s) == on_grace


def test_a_precision_that_the_gpu_lacks(v3: Training) -> None:
    with pytest.raises(ConfigError, match=r"A100-80GB has no fp8 .for fp8-blockwise.; it has bf16"):
        predicted(v3, "A100")


def test_an_older_release_is_slower_in_fp8_alone(v3: Training) -> None:
    old, bf16 = replace(v3, release=Release(0, 14)), replace(v3, precision=Precision.BF16)
    assert predicted(old).total_s > predicted(v3).total_s
    assert predicted(replace(bf16, release=Release(0, 14))).total_s == predicted(bf16).total_s


def test_constants_say_what_they_mean() -> None:
    from dataclasses import fields

    for item in fields(FITTED):
        assert item.metadata["meaning"]
        assert 0.2 < getattr(FITTED, item.name) / item.metadata["prior"] < 5, item.name


def test_flags_decide_the_job() -> None:
    base = job(*V3)
    assert base.precision == "fp8-blockwise"
    assert base.imbalance > 1
    assert job(*V3, "FORCE_BALANCE=1").imbalance == 1
    graphed = job(*V3, extra=("--cuda-graph-impl", "transformer_engine", "--cuda-graph-modules", "attn", "moe_router"))
    assert graphed.graphs == Graphs(modules=frozenset({"attn", "moe_router"}))
    asked = MegatronArgs({"--recompute-granularity": "selective", "--recompute-modules": ("moe_act",)}).argv()
    assert job(*V3, extra=tuple(asked)).recompute == Recompute(granularity="selective", modules=frozenset({"moe_act"}))


@pytest.mark.parametrize(
    ("words", "graphs"),
    [
        (
            ("--cuda-graph-impl", "local", "--cuda-graph-modules", "full_iteration"),
            Graphs(full=True, modules=WHOLE_LAYER),
        ),
        (("--cuda-graph-impl", "full_iteration"), Graphs(full=True, modules=WHOLE_LAYER)),
        (("--cuda-graph-impl", "local", "--cuda-graph-scope", "full"), Graphs(modules=WHOLE_LAYER)),
        (("--external-cuda-graph", "--cuda-graph-scope", "attn"), Graphs(modules=frozenset({"attn"}))),
    ],
)
def test_every_spelling_of_cuda_graphs(words: tuple[str, ...], graphs: Graphs) -> None:
    assert job(*V3, extra=words).graphs == graphs


def test_the_old_word_for_recomputing_experts() -> None:
    assert job(*V3, extra=("--moe-layer-recompute",)).recompute.of("moe")

"""A search finds what trying everything would find, and prints commands that launch exactly that."""

import random
import shlex
from collections.abc import Mapping
from dataclasses import replace

import pytest
from planned import planned

from harness.config.arguments import parse_arguments
from harness.config.provenance import Resolved
from harness.cost.hardware import find_gpu
from harness.cost.memory import peak_stage, stage_memory
from harness.cost.step_time import step_time
from harness.plan.bounds import Bounds
from harness.plan.predict import job_of
from harness.plan.search import search
from harness.plan.space.point import Grid
from harness.plan.space.space import Space, space
from harness.plan.verdict import violations_of

LITTLE = {"MODEL": "DeepSeek-V2-Lite", "GPU": "H100", "GPUS": "16", "GBS": "64"}
CASES = [
    LITTLE,
    {"MODEL": "DeepSeek-V3", "GPU": "H100", "GPUS": "1024"},
    {"MODEL": "DeepSeek-V3", "GPU": "GB200", "GPUS": "256", "PR": "mxfp8", "TE_VERSION": "2.9"},
    {"MODEL": "Qwen3-235B-A22B", "GPU": "H100", "GPUS": "256"},
    {"MODEL": "Mixtral-8x22B", "GPU": "H100", "GPUS": "128", "SEQ_LEN": "16384"},
    {"MODEL": "Qwen2-57B-A14B", "GPU": "A100", "GPUS": "64", "MCORE_RELEASE_VERSION": "0.12"},
]


def resolve(settings: Mapping[str, str], extra: tuple[str, ...] = ()) -> Resolved:
    return planned(*(f"{name}={value}" for name, value in settings.items()), extra=extra)


def space_of(asked: Mapping[str, str], **fixed: str) -> Space:
    gpu = find_gpu(asked["GPU"])
    assert gpu is not None
    return space(lambda settings: resolve({**asked, **settings}), gpu, fixed)


def sample(of: Space, count: int) -> list[tuple]:
    """Ways to run, drawn evenly from grids, then from what a grid may have."""
    draw, grids = random.Random(7), list(of.grids())
    drawn = []
    while len(drawn) < count:
        points = list(of.points(draw.choice(grids)))
        options = [(point, option) for point in points for option in of.options_of(point)]
        if options:
            point, option = draw.choice(options)
            drawn.append((point, option, draw.choice(option.recomputes)))
    return drawn


@pytest.mark.parametrize("asked", CASES, ids=lambda asked: f"{asked['MODEL']}-{asked['GPU']}")
def test_no_way_to_run_beats_its_bounds(asked: dict[str, str]) -> None:
    of = space_of(asked)
    bounds = Bounds(of)
    for point, option, recompute in sample(of, 150):
        job = of.job(point, option, recompute)
        time_s = step_time(job, of.gpu).total_s
        assert bounds.step_s(point, option, recompute) <= time_s * (1 + 1e-9), (point, option.settings, recompute)
        assert bounds.step_s(point, option, option.recomputes[0]) <= time_s * (1 + 1e-9)
        assert bounds.parameter_bytes(point.grid) <= peak_stage(stage_memory(job)).total_bytes


@pytest.mark.parametrize("asked", CASES, ids=lambda asked: f"{asked['MODEL']}-{asked['GPU']}")
def test_what_prunes_by_memory_is_true(asked: dict[str, str]) -> None:
    """The last set of an option is its leanest, and a larger micro-batch needs no less."""
    of = space_of(asked)
    for point, option, recompute in sample(of, 100):
        needed = peak_stage(stage_memory(of.job(point, option, recompute))).total_bytes
        leanest = peak_stage(stage_memory(of.job(point, option, option.recomputes[-1]))).total_bytes
        larger = of.job(replace_micro(point), option, recompute)
        assert leanest <= needed, (point, option.settings, recompute)
        assert needed <= peak_stage(stage_memory(larger)).total_bytes


def replace_micro(point):
    return point._replace(micro=2 * point.micro)


def test_a_search_finds_what_trying_everything_finds() -> None:
    of = space_of(LITTLE)
    best: dict[Grid, float] = {}
    for grid in of.grids():
        for point in of.points(grid):
            for option in of.options_of(point):
                for recompute in option.recomputes:
                    job = of.job(point, option, recompute)
                    if peak_stage(stage_memory(job)).total_bytes <= of.gpu.hbm_bytes:
                        best[grid] = min(best.get(grid, float("inf")), step_time(job, of.gpu).total_s)
    found = search(of, keep=10)
    assert [one.step_time.total_s for one in found.best] == pytest.approx(sorted(best.values())[:10])
    assert len(found.best) == 10
    counts = found.counts
    assert counts.too_large + counts.no_faster + counts.timed == counts.enumerated


@pytest.mark.parametrize("asked", CASES, ids=lambda asked: f"{asked['MODEL']}-{asked['GPU']}")
def test_the_command_of_a_candidate_launches_exactly_it(asked: dict[str, str]) -> None:
    of = space_of(asked)
    found = search(of, keep=10).best
    assert found
    for one in found:
        words = shlex.split(one.launch_command({"CLUSTER": "template", **asked}, ()))
        assert words[:2] == ["moe-harness", "launch"]
        at = words.index("--") if "--" in words else len(words)
        launched = resolve(parse_arguments(words[2:at]), tuple(words[at + 1 :]))
        assert job_of(launched) == one.job
        assert violations_of(launched, of.gpu) == []


@pytest.mark.parametrize(
    ("asked", "published"),
    [
        ({"MODEL": "DeepSeek-V3", "GPU": "H100", "GPUS": "1024"}, {"tp": 2, "pp": 8, "ep": 64}),
        ({"MODEL": "Mixtral-8x22B", "GPU": "H100", "GPUS": "128"}, {"tp": 2, "pp": 8, "ep": 8, "etp": 1}),
        ({"MODEL": "Qwen3-235B-A22B", "GPU": "H100", "GPUS": "256"}, {"tp": 2, "pp": 8, "ep": 32}),
        (
            {"MODEL": "DeepSeek-V3", "GPU": "GB200", "GPUS": "256", "PR": "mxfp8", "TE_VERSION": "2.9"},
            {"tp": 1, "pp": 4, "ep": 64},
        ),
        ({"MODEL": "Qwen3-30B-A3B", "GPU": "H100", "GPUS": "16"}, {"tp": 1, "pp": 1, "ep": 16}),
    ],
)
def test_mappings_that_others_publish_as_best_rank_among_the_ten(asked: dict[str, str], published: dict) -> None:
    """arXiv 2603.07685, 2504.14960, recipes of Megatron-LM and Megatron-Bridge: harness/plan/published/runs.csv."""
    found = search(space_of({**asked, "FORCE_BALANCE": "1"}), keep=10).best
    grids = [{name: getattr(one.parallel, name) for name in published} for one in found]
    assert published in grids


def test_typed_sizes_stay() -> None:
    found = search(space_of(LITTLE, TP="2", PP="1", A2A_OVERLAP="0", MOE_TOKEN_DISPATCHER="alltoall"), keep=10).best
    assert {(one.parallel.tp, one.parallel.pp) for one in found} == {(2, 1)}
    assert {(one.job.dispatcher, one.job.overlap.expert) for one in found} == {("alltoall", False)}


def test_flags_of_the_user_say_what_is_recomputed() -> None:
    extra = ("--recompute-granularity", "selective", "--recompute-modules", "core_attn")
    gpu = find_gpu("H100")
    assert gpu is not None
    of = space(lambda settings: resolve({**LITTLE, **settings}, extra), gpu, {})
    found = search(of, keep=1).best[0]
    assert found.job.recompute.modules == {"core_attn"}
    assert not found.flags  # the user's own flags stay on the command line


def test_a_smaller_gpu_limits_more() -> None:
    of = space_of(LITTLE)
    small = replace(of, gpu=replace(of.gpu, hbm_bytes=of.gpu.hbm_bytes // 2))
    roomy, tight = search(of, keep=1).best[0], search(small, keep=1).best[0]
    assert tight.peak.total_bytes <= small.gpu.hbm_bytes
    assert tight.step_time.total_s >= roomy.step_time.total_s

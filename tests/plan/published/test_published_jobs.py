"""From rows to jobs: every shipped row runs, or says why not; and the facts are those of the sources' own files."""

import csv
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from harness.arch.model import model_arch
from harness.arch.parallel import parallel
from harness.cost.flops import megatron_flops_per_token
from harness.plan.constraints.check import check
from harness.plan.published.flags import PublishedJob, Unusable, published_job
from harness.plan.published.measured import measured_bytes, measured_tflops
from harness.plan.published.rows import PublishedRow, read_rows

ROWS = read_rows()
CONFIGS = Path(__file__).with_name("bridge_configs.csv")
"""Mappings and settings that the performance scripts of Megatron-Bridge's tags define, one line a configuration."""

MISPRINTED = {67, 119}
"""Lines whose tokens/s and TFLOP/s do not belong together; 119 repeats the tokens/s of 118."""

FEW_DIGITS = {140, 141}
"""Lines whose tokens/s are printed with two or three digits."""


def usable() -> list[PublishedJob]:
    jobs = []
    for row in ROWS:
        try:
            jobs.append(published_job(row))
        except Unusable:
            continue
    return jobs


JOBS = usable()


def line(number: int) -> PublishedRow:
    return next(row for row in ROWS if row.line == number)


def test_every_row_is_a_job_or_has_a_reason() -> None:
    reasons: Counter[str] = Counter()
    for row in ROWS:
        try:
            published_job(row)
        except Unusable as why:
            reasons[str(why)] += 1
    assert len(JOBS) == 173
    assert reasons == {
        "FSDP: parameters are sharded too, which is not modelled": 10,
        "LoRA: trains adapters, not the model": 2,
        "256 GPUs cannot hold ETP·EP·PP = 512": 1,
        "not stated: gbs": 1,
    }


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"line {job.row.line}")
def test_megatron_would_run_each_job(job: PublishedJob) -> None:
    assert check(job.args, job.world_size) == []


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"line {job.row.line}")
def test_a_job_has_the_mapping_of_its_row(job: PublishedJob) -> None:
    row, mapping = job.row, parallel(job.args, job.world_size)
    printed = {"tp": row.tp, "pp": row.pp, "ep": row.ep, "cp": row.cp, "vpp": row.vpp, "etp": row.etp}
    stated = {name: value for name, value in printed.items() if value is not None}
    assert {name: getattr(mapping, name) for name in stated} == stated
    assert job.args.integer("--global-batch-size") == row.gbs
    assert job.args.integer("--seq-length") == row.seq_len


def test_networks_are_those_measured() -> None:
    """Where a row prints both figures, their ratio is the FLOPs of a token: the network, MTP and all."""
    compared = 0
    for job in JOBS:
        row = job.row
        if row.tokens_per_s_per_gpu is None or row.tflops_per_gpu is None or row.line in MISPRINTED:
            continue
        flops = megatron_flops_per_token(model_arch(job.args), seq_len=row.seq_len or 0)
        printed = row.tflops_per_gpu * 1e12 / row.tokens_per_s_per_gpu
        assert printed == pytest.approx(flops, rel=0.008 if row.line in FEW_DIGITS else 0.005), row.line
        compared += 1
    assert compared > 70


def test_settings_are_those_of_the_scripts_that_ran() -> None:
    wrong = []
    with CONFIGS.open(newline="") as file:
        for config in csv.DictReader(file):
            facts = published_job(_bridge_row(config)).facts
            found = {
                "dispatcher": facts.dispatcher,
                "a2a_overlap": str(int(bool(facts.a2a_overlap))),
                "recompute": set(facts.recompute or ()) - {"none"},
                "cuda_graph": set(facts.cuda_graph or ()) - {"none"},
                "layout": facts.layout if config["layout"] else "",
            }
            wanted = {**config, "recompute": set(config["recompute"].split())}
            wanted["cuda_graph"] = set(config["cuda_graph"].split())
            if any(found[name] != wanted[name] for name in found):
                wrong.append((config, found))
    assert wrong == []


def _bridge_row(config: dict[str, str]) -> PublishedRow:
    return line(50)._replace(
        source=f"Megatron-Bridge docs/performance-summary, {config['container']} NeMo container (archive)",
        model=config["model"],
        gpu=config["gpu"],
        precision=config["precision"],
        **{name: int(config[name]) for name in ("n_gpus", "tp", "pp", "ep", "mbs", "gbs")},
        vpp=int(config["vpp"]) if config["vpp"] else None,
    )


def test_nothing_is_assumed_of_tables_whose_scripts_are_public() -> None:
    guessed = {job.row.line: job.assumed for job in JOBS if "performance-summary" in job.row.source and job.assumed}
    layout = ("layout Et*8|(t*8|)*6t*5mL",)  # 25.11 has none for PP=2 and VPP=4
    assert guessed == {101: layout, 102: layout}


def test_what_nobody_states_is_told() -> None:
    unknown = line(50)._replace(source="a web page", other_flags="", mbs=None)
    job = published_job(unknown)
    assert {"mbs 1", "recompute none", "dispatcher alltoall", "routing balanced", "moments fp32"} <= set(job.assumed)
    split = published_job(unknown._replace(model="DeepSeek-V3", n_gpus=256, tp=1, pp=4, ep=32, vpp=8))
    assert split.assumed[-1].startswith("layers over 32 stages as E")
    assert check(split.args, split.world_size) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "Qwen3-Next-80B-A3B"}, "model Qwen3-Next-80B-A3B: no configuration ships; did you mean Qwen3-"),
        ({"n_gpus": None}, "the number of GPUs is not stated"),
        ({"tp": None, "seq_len": None}, "not stated: tp, seq_len"),
        ({"n_gpus": 12}, "12 GPUs cannot hold ETP·EP·PP = 8"),
        ({"gbs": 511}, "GBS=511 is no multiple of MBS·DP = 8·8"),
        ({"n_gpus": 64, "pp": 8, "vpp": 12}, "96 pipeline stages, but only 49 layers"),
        ({"other_flags": "FSDP=On"}, "FSDP"),
    ],
)
def test_rows_that_are_no_job(change: dict[str, object], reason: str) -> None:
    with pytest.raises(Unusable) as why:
        published_job(line(50)._replace(**change))
    assert reason in str(why.value)


def test_whole_steps_in_one_graph() -> None:
    """26.06: the experts' capacity is padded and their activations are stashed in pages, to be captured at all."""
    args = published_job(line(56)).args
    assert args.text("--cuda-graph-impl") == "full_iteration"
    assert args.text("--fp8-recipe") == "mxfp8"
    assert args.text("--pipeline-model-parallel-layout") == "Et*4|(t*4|)*14tmL"
    for flag in ("--moe-paged-stash", "--overlap-moe-expert-parallel-comm", "--delay-wgrad-compute"):
        assert args.switch(flag)


def test_steps_of_a_roadmap_add_up() -> None:
    steps = [published_job(line(number)).facts for number in range(18, 31)]
    assert [facts.router_fusion for facts in steps] == [False] * 2 + [True] * 11
    assert [facts.recompute == ("mlp", "mla_up_proj") for facts in steps] == [True] * 4 + [False] * 9
    assert [facts.cuda_graph == ("none",) for facts in steps] == [True] * 5 + [False] * 8
    for earlier, later in pairwise(steps):
        assert set(earlier.features) <= set(later.features)
    changed = {(f.dispatcher, f.recompute, f.cuda_graph, f.router_fusion, f.features) for f in steps}
    assert len(changed) == len(steps)


def test_functional_tests_measure_memory_alone() -> None:
    job = published_job(line(181))
    arch = model_arch(job.args)
    assert len(arch.layers) == 14
    assert job.args.text("--pipeline-model-parallel-layout") == "Et*2|(tt|)*5t|tmL"
    assert measured_tflops(job, arch) is None
    assert measured_bytes(job) == 46.598e9


def test_figures_in_one_unit() -> None:
    job = published_job(line(50))
    arch = model_arch(job.args)
    bare = job.row._replace(tflops_per_gpu=None)
    assert measured_tflops(job, arch) == 1029
    from_tokens = measured_tflops(job._replace(row=bare), arch)
    assert from_tokens == pytest.approx(1029, rel=0.005)
    step_s = 512 * 4096 / 8 / 44544
    timed = bare._replace(tokens_per_s_per_gpu=None, step_time_s=step_s)
    assert measured_tflops(job._replace(row=timed), arch) == pytest.approx(from_tokens)
    nothing = job._replace(row=timed._replace(step_time_s=None))
    assert measured_tflops(nothing, arch) is None
    assert measured_bytes(nothing) is None
    assert measured_bytes(published_job(line(135))) == 62.166 * 2**30

"""`moe-harness estimate`: memory and step time of one mapping, before it is run."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from harness.arch.parameters import MEGATRON, count_parameters
from harness.cli import request
from harness.config.provenance import Resolved
from harness.cost.flops import Counting, hardware_flops_per_step, megatron_flops_per_step, model_flops_per_step
from harness.errors import ConfigError, HarnessError
from harness.launch.gpu_hours import gpu_hours
from harness.plan.candidate import Candidate
from harness.plan.machine import calibrated, machine
from harness.plan.neighbours import neighbours, show_neighbour
from harness.plan.predict import candidate_of
from harness.plan.published.predictable import predictable_row, predicted_tflops
from harness.plan.published.rows import PublishedRow
from harness.plan.space.recompute_sets import show_recompute
from harness.plan.verdict import located, violations_of
from harness.report.text.plain_table import MISSING, plain_table
from harness.report.text.prediction import candidate_data, show_exchange, show_memory, show_room, show_step
from harness.units import GIGA, show_count, show_seconds


@click.command("estimate")
@click.argument("arguments", nargs=-1, type=request.SettingArgument(), metavar=request.ARGUMENTS_METAVAR)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, arguments: Sequence[str], as_json: bool) -> None:
    """Predict the memory and the step time of one mapping; Megatron's own flags after --."""
    resolved = request.planned(ctx, arguments)
    request.show_planned_notices(resolved)
    gpu = calibrated(resolved, machine(resolved))
    if refused := violations_of(resolved, gpu):
        raise ConfigError([located(violation, resolved) for violation in refused])
    found = candidate_of(resolved, gpu)
    click.echo(json.dumps(_data(resolved, found), indent=2) if as_json else _text(resolved, found))


def _text(resolved: Resolved, found: Candidate) -> str:
    parts = [_head(found), show_memory(found), show_step(found), plain_table(_figures(resolved, found))]
    return "\n\n".join([*parts, "\n".join(_published(found))])


def _head(found: Candidate) -> str:
    """The model, mapping and machine, in a line or two."""
    par, size, job = found.parallel, found.batch, found.job
    mapping = f"TP={par.tp} PP={par.pp} VPP={par.vpp} EP={par.ep} ETP={par.etp} CP={par.cp} DP={par.dp} EDP={par.edp}"
    lines = [
        f"{job.arch.name} on {par.world_size:,} {found.gpu.name}: {mapping}, MBS={size.micro} GBS={size.global_}"
        f" SEQ_LEN={size.seq_len}",
        f"{job.precision}, tokens by {show_exchange(job)}, recomputed: {show_recompute(job.recompute)},"
        f" fullest expert rank {job.imbalance:.2f} x the mean",
    ]
    return "\n".join([*lines, *([f"layout: {found.layout}"] if found.layout else [])])


def _figures(resolved: Resolved, found: Candidate) -> list[tuple[str, str]]:
    count = count_parameters(found.job.arch, MEGATRON)
    flops_per_token = _flops_per_token(found)
    per_token = {name: f"{flops / GIGA:,.1f}" for name, flops in flops_per_token.items()}
    return [
        ("parameters", f"{show_count(count.total)}, {show_count(count.active)} active ({count.total_counts})"),
        ("peak memory", show_room(found)),
        ("step time", show_seconds(found.step_time.total_s)),
        ("TFLOP/s/GPU", f"{found.tflops_per_gpu:.0f} (Megatron's convention)"),
        ("tokens/s/GPU", f"{found.tokens_per_s_per_gpu:,.0f}"),
        *_utilisation_rows(found, flops_per_token),
        ("GFLOP/token", ", ".join(f"{figure} {name}" for name, figure in per_token.items())),
        ("limited by", ", ".join(found.limits)),
        ("GPU-hours", f"{gpu_hours(resolved):,.0f} at most (RUN_TIME={resolved.text('RUN_TIME')})"),
    ]


def _utilisation_rows(found: Candidate, flops_per_token: Mapping[str, float]) -> list[tuple[str, str]]:
    """The three conventions' shares of one peak, each by its own name."""
    names = {Counting.MEGATRON: "MFU", Counting.MODEL: "MFU (model FLOPs)", Counting.HARDWARE: "HFU (hardware FLOPs)"}
    shares = _utilisation(found, flops_per_token)
    texts = {name: MISSING if share is None else f"{share:.1%} of the dense peak" for name, share in shares.items()}
    if found.mfu is not None:
        texts[_key(Counting.MEGATRON)] += " (Megatron's convention)"
    return [(name, texts[_key(counting)]) for counting, name in names.items()]


def _flops_per_token(found: Candidate) -> dict[str, float]:
    """Operations of a step on all GPUs by its tokens, by convention."""
    arch, size = found.job.arch, found.batch
    of_step = {
        Counting.MEGATRON: megatron_flops_per_step(arch, sequences=size.global_, seq_len=size.seq_len),
        Counting.MODEL: model_flops_per_step(arch, sequences=size.global_, seq_len=size.seq_len),
        Counting.HARDWARE: hardware_flops_per_step(found.job),
    }
    tokens = size.global_ * size.seq_len
    return {_key(counting): flops / tokens for counting, flops in of_step.items()}


def _utilisation(found: Candidate, flops_per_token: Mapping[str, float]) -> dict[str, float | None]:
    """Operations a second of each GPU over its dense peak, by convention; None for a precision without a peak."""
    peak = found.gpu.peak(found.job.precision)
    speed = found.tokens_per_s_per_gpu
    return {name: flops * speed / peak if peak else None for name, flops in flops_per_token.items()}


def _key(counting: Counting) -> str:
    return counting.name.lower()


def _published(found: Candidate) -> list[str]:
    near = neighbours(found)
    if not near:
        return [f"published: nothing of {found.job.arch.name} on {found.gpu.name}"]
    return [f"published: {show_neighbour(row)}{_as_run(row)}" for row in near]


def _as_run(row: PublishedRow) -> str:
    """A line on how that run differed beside its mapping, and what is predicted for it; empty if nothing can be."""
    try:
        case = predictable_row(row)
    except HarnessError:
        return ""
    job = case.job
    return (
        f"\n  that run is predicted at {predicted_tflops(job, case.gpu, case.gpu.constants):.0f}: tokens by"
        f" {show_exchange(job)}, recomputed: {show_recompute(job.recompute)},"
        f" fullest expert rank {job.imbalance:.2f} x the mean"
    )


def _data(resolved: Resolved, found: Candidate) -> dict[str, Any]:
    count, flops_per_token = count_parameters(found.job.arch, MEGATRON), _flops_per_token(found)
    return {
        "model": found.job.arch.name,
        "gpu": found.gpu.name,
        "parameters": count.total,
        "active_parameters": count.active,
        **candidate_data(found),
        "flops_per_token": flops_per_token,
        "utilisation": _utilisation(found, flops_per_token),
        "gpu_hours": gpu_hours(resolved),
        "published": [
            {"source": row.source, "tflops_per_gpu": row.tflops_per_gpu, "n_gpus": row.n_gpus}
            for row in neighbours(found)
        ],
    }

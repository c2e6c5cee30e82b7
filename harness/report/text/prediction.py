"""Format predictions as text and as JSON data."""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.cost.memory import ERROR_BAND, StageMemory
from harness.cost.training import Training
from harness.plan.candidate import COMPUTING, Candidate
from harness.plan.space.recompute_sets import show_recompute
from harness.report.text.plain_table import plain_table
from harness.units import GIB, show_bytes, show_seconds

GROUPS: Mapping[str, tuple[str, ...]] = {
    "computing": COMPUTING,
    "host": ("waiting for the host", "step overhead"),
    "TP": ("TP communication",),
    "CP": ("CP communication",),
    "EP": ("EP communication",),
    "pipeline": ("pipeline bubble", "pipeline send"),
    "data parallel": ("gradients and weights", "optimizer"),
    "jitter": ("jitter",),
}
"""Parts of a step, as a narrow table can show them."""
FITS = {True: "fits", None: "may just fit or not", False: "does not fit"}


def show_candidates(found: Sequence[Candidate]) -> str:
    """Two tables, a row a candidate in each: what it is and what it gives; where its step goes and what limits it."""
    headers = ["", "TP", "PP", "VPP", "EP", "ETP", "CP", "MBS", "tokens by", "recompute", "memory", "step"]
    first = [[str(rank), *_mapping(one), *_figures(one)] for rank, one in enumerate(found, start=1)]
    second = [
        [str(rank), *(f"{share:.0%}" for share in _shares(one).values()), ", ".join(one.limits)]
        for rank, one in enumerate(found, start=1)
    ]
    return "\n\n".join(
        (
            plain_table(first, [*headers, "TFLOP/s/GPU", "tokens/s/GPU"]),
            plain_table(second, ["", *GROUPS, "limited by"]),
        )
    )


def show_difference(one: Candidate, other: Candidate) -> str:
    """`EP +1.20 s, pipeline -310.0 ms`: where a step goes that the other's does not, the largest first."""
    mine, its = ({name: _group_s(it, parts) for name, parts in GROUPS.items()} for it in (one, other))
    apart = {name: mine[name] - its[name] for name in GROUPS}
    order = sorted(apart, key=lambda name: -abs(apart[name]))
    return ", ".join(f"{name} {'+' if apart[name] > 0 else '-'}{show_seconds(abs(apart[name]))}" for name in order)


def show_memory(found: Candidate) -> str:
    """A row a pipeline rank; the fullest is marked."""
    headers = [
        "rank",
        "weights",
        "gradients",
        "main weights",
        "optimizer",
        "activations",
        "transient",
        "other",
        "total",
    ]
    rows = [[*_memory_row(stage), "fullest" if stage is found.peak else ""] for stage in found.memory]
    return plain_table(rows, [*headers, ""])


def show_step(found: Candidate) -> str:
    """A row a part of the step, the longest first."""
    parts = sorted(found.step_time.parts_s.items(), key=lambda item: -item[1])
    rows = [[name, show_seconds(part), f"{found.shares[name]:.1%}"] for name, part in parts if part > 0]
    return plain_table([*rows, ["step", show_seconds(found.step_time.total_s), ""]])


def show_room(found: Candidate) -> str:
    """`61.20 GiB of 80.00 GiB on pipeline rank 0 (77%, ± 10%): fits; most of it activations: expert_fc1`."""
    total, there = found.peak.total_bytes, found.gpu.hbm_bytes
    return (
        f"{show_bytes(total)} of {show_bytes(there)} on pipeline rank {found.peak.rank}"
        f" ({total / there:.0%}, ± {ERROR_BAND:.0%}): {FITS[found.fits]}; most of it {found.peak.dominant}"
    )


def parts_bytes(stage: StageMemory) -> dict[str, int]:
    """Every named term of a rank's memory."""
    kept = {
        "weights": stage.weights_bytes,
        "gradients": stage.grads_bytes,
        "main weights": stage.main_weights_bytes,
        "optimizer": stage.optimizer_bytes,
    }
    tables = {
        "activations": stage.activations_bytes,
        "transient": stage.transient_bytes,
        "buffers": stage.buffers_bytes,
        "outside": stage.outside_bytes,
    }
    return kept | {f"{kind}: {name}": size for kind, terms in tables.items() for name, size in terms.items()}


def candidate_data(found: Candidate) -> dict[str, Any]:
    """A candidate as JSON data; bytes and seconds."""
    par, size, job = found.parallel, found.batch, found.job
    return {
        "mapping": {
            **{name: getattr(par, name) for name in ("world_size", "tp", "cp", "pp", "vpp", "ep", "etp", "dp", "edp")},
            "layout": found.layout or None,
        },
        "batch": {"micro": size.micro, "global": size.global_, "seq_len": size.seq_len},
        "precision": job.precision,
        "dispatcher": job.dispatcher,
        "a2a_overlap": job.overlap.expert,
        "recompute": show_recompute(job.recompute),
        "imbalance": job.imbalance,
        "peak_memory_bytes": found.peak.total_bytes,
        "hbm_bytes": found.gpu.hbm_bytes,
        "memory_bytes": [
            {"rank": stage.rank, "total": stage.total_bytes, **parts_bytes(stage)} for stage in found.memory
        ],
        "step_time_s": found.step_time.total_s,
        "step_time_parts_s": dict(found.step_time.parts_s),
        "tflops_per_gpu": found.tflops_per_gpu,
        "tokens_per_s_per_gpu": found.tokens_per_s_per_gpu,
        "mfu": found.mfu,
        "limited_by": list(found.limits),
        "violations": [str(violation) for violation in found.violations],
    }


def show_exchange(job: Training) -> str:
    """`deepep, overlapped`."""
    return f"{job.dispatcher}, overlapped" if job.overlap.expert else job.dispatcher


def _mapping(found: Candidate) -> list[str]:
    par = found.parallel
    vpp = f"{par.vpp}*" if found.layout else str(par.vpp)
    return [*map(str, (par.tp, par.pp)), vpp, *map(str, (par.ep, par.etp, par.cp, found.batch.micro))]


def _figures(found: Candidate) -> list[str]:
    return [
        show_exchange(found.job),
        show_recompute(found.job.recompute),
        f"{found.peak.total_bytes / GIB:.1f} GiB",
        show_seconds(found.step_time.total_s),
        f"{found.tflops_per_gpu:.0f}",
        f"{found.tokens_per_s_per_gpu:,.0f}",
    ]


def _shares(found: Candidate) -> dict[str, float]:
    return {name: _group_s(found, parts) / found.step_time.total_s for name, parts in GROUPS.items()}


def _group_s(found: Candidate, parts: Sequence[str]) -> float:
    return sum(found.step_time.parts_s.get(part, 0.0) for part in parts)


def _memory_row(stage: StageMemory) -> list[str]:
    other = sum(stage.buffers_bytes.values()) + sum(stage.outside_bytes.values())
    sums = [sum(stage.activations_bytes.values()), sum(stage.transient_bytes.values()), other]
    kept = (stage.weights_bytes, stage.grads_bytes, stage.main_weights_bytes, stage.optimizer_bytes)
    return [str(stage.rank), *(show_bytes(size) for size in (*kept, *sums, stage.total_bytes))]

"""Published measurements that are most like a job: what others got where a prediction stands."""

from collections.abc import Iterator
from math import log2

from harness.plan.candidate import Candidate
from harness.plan.published.rows import PublishedRow, read_rows

ANOTHER = 4.0
"""How far another precision or mapping is, beside one doubling of a size."""


def neighbours(found: Candidate, *, most: int = 3) -> list[PublishedRow]:
    """Rows of the same model and GPU with a rate, the most alike first."""
    gpu = found.gpu.name.upper()
    rows = [row for row in read_rows(model=found.job.arch.name) if row.tflops_per_gpu and row.gpu.upper() == gpu]
    return sorted(rows, key=lambda row: distance(row, found))[:most]


def distance(row: PublishedRow, found: Candidate) -> float:
    """How unlike a row is: doublings between the sizes that it states, and more for another precision."""
    par, size = found.parallel, found.batch
    sizes = (
        (row.n_gpus, par.world_size),
        (row.seq_len, size.seq_len),
        (row.tp, par.tp),
        (row.pp, par.pp),
        (row.ep, par.ep),
        (row.cp, par.cp),
        (row.vpp, par.vpp),
        (row.gbs, size.global_),
    )
    doublings = sum(abs(log2(stated / ours)) for stated, ours in sizes if stated)
    return doublings + (0.0 if _precision(row) == _precision_of(found) else ANOTHER)


def show_neighbour(row: PublishedRow) -> str:
    """`368 TFLOP/s/GPU: FP8 blockwise, 1,024 GPUs, TP2 EP64 VPP4 MBS1 GBS8192 (arXiv 2603.07685 …)`."""
    return f"{row.tflops_per_gpu:g} TFLOP/s/GPU: {', '.join(_description(row))} ({row.source})"


def _description(row: PublishedRow) -> Iterator[str]:
    sizes = {"TP": row.tp, "PP": row.pp, "VPP": row.vpp, "EP": row.ep, "CP": row.cp, "MBS": row.mbs, "GBS": row.gbs}
    yield row.precision or "precision not stated"
    if row.n_gpus:
        yield f"{row.n_gpus:,} GPUs"
    if row.seq_len:
        yield f"{row.seq_len:,} tokens"
    yield " ".join(f"{name}{value}" for name, value in sizes.items() if value) or "mapping not stated"


def _precision(row: PublishedRow) -> str:
    """The precision of a row as records name it; what names no fewer bits, or nothing, is bf16."""
    text = row.precision.lower()
    named = {"mxfp8": "mxfp8", "fp4": "nvfp4", "fp8": "fp8"}
    return next((precision for part, precision in named.items() if part in text), "bf16")


def _precision_of(found: Candidate) -> str:
    """That of a job, to compare: fp32 and fp16 are nearest to bf16."""
    return found.job.precision.recorded if found.job.precision.quantised else "bf16"

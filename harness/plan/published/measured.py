"""The figures of a row in the units that predictions have."""

from harness.arch.model import ModelArch
from harness.cost.flops import megatron_flops_per_step, megatron_flops_per_token
from harness.plan.published.flags import PublishedJob
from harness.units import GIB, TERA

GB = 10**9


def measured_tflops(job: PublishedJob, arch: ModelArch) -> float | None:
    """TFLOP/s of a GPU: as printed, else from tokens a second or step time, in Megatron's convention.

    None where nothing of the kind was measured; the step times of functional tests are no measure of performance.
    """
    row = job.row
    if row.tflops_per_gpu is not None:
        return row.tflops_per_gpu
    if row.tokens_per_s_per_gpu is not None and row.seq_len is not None:
        return row.tokens_per_s_per_gpu * megatron_flops_per_token(arch, seq_len=row.seq_len) / TERA
    if row.step_time_s is None or row.gbs is None or row.seq_len is None or job.facts.ci:
        return None
    return megatron_flops_per_step(arch, sequences=row.gbs, seq_len=row.seq_len) / (
        job.world_size * row.step_time_s * TERA
    )


def measured_bytes(job: PublishedJob) -> float | None:
    """Peak allocated bytes, of the last rank in functional tests and of rank 0 elsewhere; None where not measured."""
    if job.row.mem_gb is None:
        return None
    return job.row.mem_gb * (GIB if "GiB" in job.row.notes else GB)

"""A published row as a job that can be predicted, beside what was measured of it."""

from dataclasses import replace
from typing import NamedTuple

from harness.config.releases import EMBEDDED_RELEASE, Release
from harness.cost.constants import Constants
from harness.cost.flops import megatron_flops_per_step
from harness.cost.hardware import GPUS, Gpu, find_gpu
from harness.cost.step_time import step_time
from harness.cost.training import Training
from harness.cost.training_flags import training
from harness.errors import nearest
from harness.plan.published.flags import PublishedJob, Unusable, published_job
from harness.plan.published.measured import measured_tflops
from harness.plan.published.rows import PublishedRow
from harness.units import TERA

WITHDRAWN_TE_LOSS = Release(0, 19)
"""The release that no longer takes Transformer Engine's loss, so that no flag of a published job can ask for it."""


class PredictableRow(NamedTuple):
    """A published row as a job that can be predicted."""

    row: PublishedRow
    published: PublishedJob
    job: Training
    gpu: Gpu

    @property
    def measured_tflops(self) -> float | None:
        """TFLOP/s/GPU in Megatron's convention."""
        return measured_tflops(self.published, self.job.arch)

    @property
    def step_s(self) -> float | None:
        """The measured step, from the measured TFLOP/s."""
        tflops = self.measured_tflops
        return None if tflops is None else _step_flops(self.job) / tflops / TERA


def predictable_row(row: PublishedRow) -> PredictableRow:
    """The job of a row. Unusable where the row does not say enough."""
    published = published_job(row)
    gpu = find_gpu(published.gpu)
    if gpu is None:
        raise Unusable(f"GPU {published.gpu}: not known; {nearest(published.gpu, [known.name for known in GPUS])}")
    release = Release.parse(published.facts.release) if published.facts.release else EMBEDDED_RELEASE
    job = training(published.args, published.world_size, name=row.model, release=release)
    if release < WITHDRAWN_TE_LOSS:
        job = replace(job, te_cross_entropy=published.facts.cross_entropy == "te")
    return PredictableRow(row=row, published=published, job=job, gpu=gpu)


def predicted_tflops(job: Training, gpu: Gpu, constants: Constants) -> float:
    """TFLOP/s/GPU in Megatron's convention."""
    return _step_flops(job) / step_time(job, gpu, constants).total_s / TERA


def _step_flops(job: Training) -> float:
    """Operations of a step on each GPU."""
    whole = megatron_flops_per_step(job.arch, sequences=job.batch.global_, seq_len=job.batch.seq_len)
    return whole / job.parallel.world_size

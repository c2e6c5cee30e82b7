"""Megatron itself would run the jobs that the published rows become."""

import pytest
from megatron_verdict import refusal

from harness.plan.published.flags import PublishedJob, Unusable, published_job
from harness.plan.published.rows import read_rows

ENVIRONMENT = {"CUDA_DEVICE_MAX_CONNECTIONS": "1", "NVTE_CPU_OFFLOAD_V1": "1"}
NEEDS_A_GPU = "AcceleratorError: CUDA error"
"""What the interleaved schedule says where it begins a whole iteration's graph, after all checks."""


def different_jobs() -> list[PublishedJob]:
    """One of those that differ in nothing but when they were measured."""
    jobs: dict[tuple[object, ...], PublishedJob] = {}
    for row in read_rows():
        try:
            job = published_job(row)
        except Unusable:
            continue
        jobs.setdefault((*job.args.argv(), job.world_size), job)
    return list(jobs.values())


@pytest.mark.slow
def test_megatron_refuses_none_of_them() -> None:
    refused = {}
    jobs = different_jobs()
    for job in jobs:
        gpu = "B200" if "B" in job.gpu else "H100"
        why = refusal(job.args, job.world_size, gpu=gpu, env=ENVIRONMENT)
        if why and not (why.startswith(NEEDS_A_GPU) and job.facts.cuda_graph == ("full",)):
            refused[job.row.line] = why
    assert refused == {}
    assert len(jobs) > 110

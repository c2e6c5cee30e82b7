"""What a resolved configuration will cost, before it is run."""

from harness.config.provenance import Resolved
from harness.config.releases import load
from harness.cost.hardware import Gpu
from harness.cost.memory import stage_memory
from harness.cost.step_time import step_time
from harness.cost.training import Training
from harness.cost.training_flags import training
from harness.plan.candidate import Candidate
from harness.plan.constraints import check
from harness.plan.violation import Violation

LAYOUT = "--pipeline-model-parallel-layout"


def world_size(resolved: Resolved) -> int:
    """Ranks of the whole job."""
    return resolved.integer("NNODES", 1) * resolved.integer("GPUS_PER_NODE", 1)


def job_of(resolved: Resolved) -> Training:
    """The job as its cost sees it; ConfigError for a network that is not modelled."""
    number = load(resolved.text("MCORE_RELEASE_VERSION")).number
    return training(
        resolved.megatron_args,
        world_size(resolved),
        name=resolved.text("MODEL"),
        release=(number[0], number[1]),
    )


def violations_of(resolved: Resolved, gpu: Gpu | None = None) -> list[Violation]:
    """What Megatron would refuse of it, on this GPU if it is known."""
    te = tuple(int(part) for part in resolved.text("TE_VERSION").split(".") if part.isdigit())
    return check(
        resolved.megatron_args,
        world_size(resolved),
        gpus_per_node=resolved.integer("GPUS_PER_NODE", 1),
        release=load(resolved.text("MCORE_RELEASE_VERSION")).release,
        te=te or None,
        gpu=gpu.name if gpu else None,
        env=resolved.env,
    )


def candidate_of(resolved: Resolved, gpu: Gpu) -> Candidate:
    """The job with its predicted memory and time; figures of a job that cannot run mean nothing."""
    job = job_of(resolved)
    return Candidate(
        job=job,
        gpu=gpu,
        layout=resolved.megatron_args.text(LAYOUT),
        memory=stage_memory(job),
        step_time=step_time(job, gpu),
        violations=tuple(violations_of(resolved, gpu)),
    )

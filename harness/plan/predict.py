"""What a resolved configuration will cost, before it is run."""

from harness.arch.parallel import world_size
from harness.config.provenance import Resolved
from harness.cost.hardware import Gpu
from harness.cost.memory import stage_memory
from harness.cost.step_time import step_time
from harness.cost.training import Training
from harness.cost.training_flags import training
from harness.plan.candidate import Candidate
from harness.plan.verdict import violations_of

LAYOUT = "--pipeline-model-parallel-layout"


def job_of(resolved: Resolved) -> Training:
    """The job as its cost sees it; ConfigError for a network that is not modelled."""
    return training(
        resolved.megatron_args,
        world_size(resolved),
        name=resolved.text("MODEL"),
        release=resolved.release,
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

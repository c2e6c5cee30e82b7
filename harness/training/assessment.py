"""Assess a configuration once: make the job that it asks for, or list every problem that keeps it from running."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.executor import Executor
from harness.launch.job import Job
from harness.launch.job_problems import unused_settings
from harness.launch.loaded_checkpoint import checkpoint_notices, checkpoint_problems
from harness.plan.forecast import Forecast, forecast
from harness.plan.verdict import located_violations
from harness.training.input_paths import path_problems
from harness.training.job import training_job

if TYPE_CHECKING:  # a launch without a known GPU starts faster without the cost model
    from harness.plan.candidate import Candidate


class Assessment(NamedTuple):
    """The `job`, unless `problems` say why there can be none; `candidate` is what is predicted where the GPU is known.

    A job that is there may have problems all the same, such as a flag that Megatron refuses.
    """

    resolved: Resolved
    executor: Executor
    job: Job | None
    candidate: "Candidate | None"
    notices: tuple[str, ...]
    problems: tuple[str, ...]

    def require_job(self) -> Job:
        """The job. ConfigError holds all problems."""
        if self.problems or self.job is None:
            raise ConfigError(self.problems)
        return self.job


def assess(
    resolved: Resolved, executor: Executor, *, force: bool = False, slurm_options: Sequence[str] = ()
) -> Assessment:
    """Find what Megatron, this machine or the GPU's memory would refuse, and what is worth knowing; touches nothing.

    With `force`, memory that does not suffice is only noticed. Only Slurm's nodes know the paths of a Slurm job.
    """
    foreseen = foresee(resolved, force=force)
    problems, notices = located_violations(resolved), list(resolved.notices)
    job: Job | None = None
    try:
        job = training_job(resolved, executor, slurm_options=slurm_options)
    except ConfigError as error:
        problems += error.problems
    if job:
        problems += checkpoint_problems(resolved, job)
        problems += path_problems(resolved, job) if executor != "slurm" else ()
        notices += [*unused_settings(resolved, executor), *checkpoint_notices(resolved, job)]
    return Assessment(
        resolved=resolved,
        executor=executor,
        job=job,
        candidate=foreseen.candidate,
        notices=(*notices, *foreseen.notices),
        problems=(*problems, *foreseen.problems),
    )


def foresee(resolved: Resolved, *, force: bool) -> Forecast:
    """The forecast; with `force`, what it would stop for is only noticed. A GPU that is not known is a problem."""
    if resolved.text("DEVICE") == "gpu" and not resolved.text("GPU"):
        return Forecast()
    from harness.plan.machine import predictable_machine  # a launch that names no GPU starts faster without it

    try:
        found = forecast(resolved, predictable_machine(resolved))
    except ConfigError as error:
        return Forecast(problems=error.problems)
    return found._replace(notices=(*found.notices, *found.problems), problems=()) if force else found

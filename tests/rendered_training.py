"""A training job with its script, as `launch` makes it."""

from typing import Any

from harness.config.provenance import Resolved
from harness.launch.executor import Executor
from harness.launch.script.render import RenderedJob
from harness.runs.render_job import render_job
from harness.training.job import training_job


def rendered_training(resolved: Resolved, executor: Executor, **options: Any) -> RenderedJob:
    """The job that a configuration asks for; `options` are those of `training_job`."""
    return render_job(resolved, training_job(resolved, executor, **options))

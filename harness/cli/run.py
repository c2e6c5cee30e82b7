"""Run a training here and follow it, or submit it."""

from collections.abc import Mapping

import click

from harness.cli import request, screen
from harness.cli.steps import Steps
from harness.config.provenance import Resolved
from harness.launch.run import Run
from harness.launch.script.render import RenderedJob
from harness.runs.kinds import KINDS
from harness.training.open_training import open_training


def run_launch(
    rendered: RenderedJob, resolved: Resolved, predicted: Mapping[str, float] | None = None, *, keep: bool = False
) -> int:
    """Open the run's folder and start the job; returns the exit code. Its record keeps what was `predicted`.

    `keep`: a job that Slurm can never start stays in its queue.
    """
    run = open_training(resolved, rendered)
    request.show_notices(run.notices)
    if run.job.executor == "slurm":
        from harness.cli.submit import submit_and_show

        return submit_and_show(run, resolved, predicted, keep=keep)
    return _run_here(run, resolved, predicted)


def _run_here(run: Run, resolved: Resolved, predicted: Mapping[str, float] | None) -> int:
    from harness.report.text.run_table import show_summary
    from harness.runs.local_run import report_failure, run_local

    with Steps(total=KINDS[run.job.kind].total_steps(resolved)) as steps:
        record = run_local(run, resolved, predicted=predicted, reporter=screen, on_step=steps.show)
    click.echo(show_summary(record))
    click.echo(f"record: {run.paths.record}")
    report_failure(record, screen)
    return 0 if record.status == "completed" else 1

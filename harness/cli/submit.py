"""Submit an opened run to Slurm, and show its job's first state."""

from collections.abc import Mapping

import click

from harness.cli import screen
from harness.cli.main import STOPPED
from harness.cli.runs_watch import follow
from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.run import Run
from harness.launch.slurm.command import is_elsewhere
from harness.report.text.job import show_job
from harness.runs.root import named
from harness.runs.submission import InitialState, await_initial_state, submit_run


def submit_and_show(
    run: Run, resolved: Resolved, predicted: Mapping[str, float] | None = None, *, keep: bool = False
) -> int:
    """Submit, and show the job's state; with SUBMIT_WAIT follow it. ConfigError if it can never start."""
    watch = f"moe-harness runs watch {named(run.paths.root)}"
    try:
        stored = submit_run(run, resolved, predicted=predicted)
    except KeyboardInterrupt:
        screen.notice(f"interrupted while Slurm was asked; {watch} tells whether it took the job")
        return STOPPED
    job = stored.record.job
    click.echo(f"submitted job {job.job_id}{f' on {job.cluster}' if is_elsewhere(job.cluster) else ''}")
    click.echo(f"run: {run.paths.root}")
    try:
        state = await_initial_state(stored, keep=keep)
    except KeyboardInterrupt:
        screen.notice(f"the job goes on; {watch} follows it")
        return STOPPED
    if state.never_starts:
        raise ConfigError(f"{state.never_starts}; --keep leaves such a job in the queue")
    if resolved.switch("SUBMIT_WAIT"):
        return follow([state.run], patient=keep, cancels=True)
    _show_state(state)
    screen.progress(f"{watch} follows it")
    return 1 if state.job and state.job.ended and state.job.state != "COMPLETED" else 0


def _show_state(state: InitialState) -> None:
    job, reason = state.job, state.reason
    if job is None:
        screen.notice("Slurm has not said how the job stands")
    elif reason and (reason.never or reason.fix):
        screen.notice(f"job {job.job_id}: {show_job(job)}")
    else:
        screen.progress(f"job {job.job_id}: {show_job(job)}")

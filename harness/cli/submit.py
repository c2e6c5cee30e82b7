"""An opened run, handed to Slurm, and what Slurm says of it at once."""

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
from harness.runs.submission import FirstWord, first_word, submit_recorded


def submit_launch(run: Run, resolved: Resolved, predicted: Mapping[str, float] | None, *, keep: bool) -> int:
    """Submit, and say how the job stands; with SUBMIT_WAIT follow it. ConfigError if it can never start."""
    watch = f"moe-harness runs watch {named(run.paths.root)}"
    try:
        stored = submit_recorded(run, resolved, predicted=predicted)
    except KeyboardInterrupt:
        screen.notice(f"interrupted while Slurm was asked; {watch} tells whether it took the job")
        return STOPPED
    asked = stored.record.job
    click.echo(f"submitted job {asked.job_id}{f' on {asked.cluster}' if is_elsewhere(asked.cluster) else ''}")
    click.echo(f"run: {run.paths.root}")
    try:
        word = first_word(stored, keep=keep)
    except KeyboardInterrupt:
        screen.notice(f"the job goes on; {watch} follows it")
        return STOPPED
    if word.hopeless:
        raise ConfigError(f"{word.hopeless}; --keep leaves such a job in the queue")
    if resolved.switch("SUBMIT_WAIT"):
        return follow([word.run], patient=keep, cancels=True)
    _say(word)
    screen.progress(f"{watch} follows it")
    return 1 if word.job and word.job.over and word.job.state != "COMPLETED" else 0


def _say(word: FirstWord) -> None:
    job, reason = word.job, word.reason
    if job is None:
        screen.notice("Slurm has not said how the job stands")
    elif reason and (reason.never or reason.fix):
        screen.notice(f"job {job.job_id}: {show_job(job)}")
    else:
        screen.progress(f"job {job.job_id}: {show_job(job)}")

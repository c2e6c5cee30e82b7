"""An opened run, handed to Slurm, and what Slurm says of it at once."""

from collections.abc import Mapping

import click

from harness.cli import screen
from harness.cli.main import STOPPED
from harness.cli.runs_watch import follow
from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.run import Run
from harness.launch.slurm.command import on
from harness.report.job_words import show_job
from harness.results.record import RunRecord
from harness.results.root import named
from harness.results.store import StoredRun
from harness.results.submission import FirstWord, first_word, submit_recorded


def submit_launch(run: Run, resolved: Resolved, predicted: Mapping[str, float] | None, *, keep: bool) -> int:
    """Submit, and say how the job stands; with SUBMIT_WAIT follow it. ConfigError if it can never start."""
    watch = f"moe-harness runs watch {named(run.paths.root)}"
    try:
        record = submit_recorded(run, resolved, predicted=predicted)
    except KeyboardInterrupt:
        screen.notice(f"interrupted while Slurm was asked; {watch} tells whether it took the job")
        return STOPPED
    cluster = record.job.cluster if on(record.job.cluster) else None
    click.echo(f"submitted job {record.job.job_id}{f' on {cluster}' if cluster else ''}")
    click.echo(f"run: {run.paths.root}")
    try:
        word = first_word(record, keep=keep)
    except KeyboardInterrupt:
        screen.notice(f"the job goes on; {watch} follows it")
        return STOPPED
    if word.refused or word.complaint or not resolved.switch("SUBMIT_WAIT"):  # who follows it is told all the same
        _say(record, word)
    if resolved.switch("SUBMIT_WAIT"):
        return follow([StoredRun(folder=run.paths.root, record=word.record)])
    screen.progress(f"{watch} follows it")
    return 1 if word.job and word.job.over and word.job.state != "COMPLETED" else 0


def _say(record: RunRecord, word: FirstWord) -> None:
    job, reason = word.job, word.reason
    if word.refused and job and reason:
        raise ConfigError(
            f"job {record.job.job_id} could never start, and was cancelled: {job.reason}, {reason.meaning};"
            f" {reason.fix}; --keep leaves such a job in the queue"
        )
    if word.complaint and job and reason:
        raise ConfigError(
            f"job {record.job.job_id} can never start ({job.reason}, {reason.meaning}; {reason.fix}), and could not be"
            f" cancelled: {word.complaint}; moe-harness runs cancel {record.job.job_id} tries again"
        )
    if job is None:
        screen.notice("Slurm has not said how the job stands")
    elif reason and (reason.never or reason.fix):
        screen.notice(f"job {record.job.job_id}: {show_job(job)}")
    else:
        screen.progress(f"job {record.job.job_id}: {show_job(job)}")

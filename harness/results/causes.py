"""Causes that the harness knows of itself, beside those that signatures find in logs."""

from collections.abc import Sequence

from harness.launch.pending_reasons import PendingReason
from harness.results.record import Cause, RunRecord

LOST = "lost"
NEVER_SUBMITTED = "never-submitted"

MEANINGS = {
    LOST: "Slurm no longer knows the job, and its script left no word of its end.",
    NEVER_SUBMITTED: "The launch was interrupted before Slurm took the job.",
    "never-starts": "Slurm can never start the job, so that it was cancelled.",
    "not-started": "Slurm could not start the job's script, mostly for want of a log that it can write.",
    "folder-removed": "The run's folder was removed: its log went with it, and what its ranks came to.",
    "supervisor-gone": "moe-harness was killed, or the machine went down, while it ran.",
}
"""What each says in docs/triage.md; where more is known, a record says that."""


def lost(record: RunRecord, what: str) -> Cause:
    """Nobody knows how the run ended, and that is said."""
    return Cause(
        name=LOST,
        text=f"Slurm no longer knows job {record.job.job_id}, and the job's script {what}.",
        change="Look at the end of the log, and ask sacct or the admins; then launch it again.",
    )


def never_submitted() -> Cause:
    """sbatch was never called, or took no job."""
    return Cause(name=NEVER_SUBMITTED, text=MEANINGS[NEVER_SUBMITTED], change="Launch it again.")


def never_starts(reason: PendingReason, shown: str | None) -> Cause:
    """A reason for waiting that no waiting clears; `shown` is Slurm's word for it."""
    return Cause(
        name="never-starts", text=f"{_sentence(reason.meaning)}.", change=f"{_sentence(reason.fix)}.", evidence=shown
    )


def not_started(record: RunRecord, nodes: Sequence[str]) -> Cause:
    """A job whose script never wrote a line: Slurm ends it with a code of its own."""
    folder = record.paths.get("root", "its folder")
    where = f" on {', '.join(nodes[:4])}" if nodes else ""
    return Cause(
        name="not-started",
        text=MEANINGS["not-started"],
        change=f"See whether {folder} is there and can be written{where}, and is not full.",
        nodes=tuple(nodes),
    )


def folder_removed() -> Cause:
    """What a removed folder took with it is gone."""
    return Cause(name="folder-removed", text=MEANINGS["folder-removed"], change="Launch it again.")


def supervisor_gone(host: str) -> Cause:
    """A run on one node whose supervisor died without a word."""
    return Cause(
        name="supervisor-gone",
        text=f"moe-harness was killed on {host}, or the machine went down, while it ran.",
        change="Launch it again.",
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]

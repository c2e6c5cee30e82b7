"""Causes that the harness finds without a log, beside those that signatures find in logs."""

from collections.abc import Sequence
from dataclasses import replace

from harness.launch.slurm.pending_reasons import PendingReason
from harness.runs.record import Cause, RunRecord

_AGAIN = "Launch it again."

NEVER_STARTS = Cause(
    name="never-starts",
    text="Slurm can never start the job, for a limit say, so it was cancelled.",
    change="The record says what stands in the way and what to change.",
)
NEVER_SUBMITTED = Cause(
    name="never-submitted", text="The launch was interrupted before Slurm took the job.", change=_AGAIN
)
NOT_STARTED = Cause(
    name="not-started",
    text="Slurm could not start the job's script, mostly because it could not open the log.",
    change="See whether the run's folder is there and can be written on the nodes, and is not full.",
)
FOLDER_REMOVED = Cause(
    name="folder-removed",
    text="The run's folder was removed: its log went with it, and what its ranks came to.",
    change=_AGAIN,
)
SUPERVISOR_GONE = Cause(
    name="supervisor-gone",
    text="moe-harness was killed, or the machine went down, while it ran on one node.",
    change=_AGAIN,
)
LOST = Cause(
    name="lost",
    text="Slurm no longer knows the job, and its script left no word of its end.",
    change="Look at the end of the log, and ask sacct or the admins; then launch it again.",
)
UNKNOWN = Cause(
    name="unknown",
    text="The cause is not known: no signature matches.",
    change="`moe-harness runs show` shows the first failing rank's last words; read the log around them.",
)

INTERNAL_CAUSES = (NEVER_STARTS, NEVER_SUBMITTED, NOT_STARTED, FOLDER_REMOVED, SUPERVISOR_GONE, LOST, UNKNOWN)
"""All of them, in the order of a run's life; a record's own text may say more."""


def lost(record: RunRecord, what: str) -> Cause:
    """The cause of a run that Slurm no longer knows; `what` says what its script did not do."""
    return replace(LOST, text=f"Slurm no longer knows job {record.job.job_id}, and the job's script {what}.")


def never_starts(reason: PendingReason, shown: str | None) -> Cause:
    """The cause of a job that can never start; `shown` is Slurm's name of the reason."""
    return replace(NEVER_STARTS, text=_sentence(reason.meaning), change=_sentence(reason.fix), evidence=shown)


def not_started(record: RunRecord, nodes: Sequence[str]) -> Cause:
    """The cause of a job that Slurm ended before its script wrote a line."""
    where = f" on {', '.join(nodes[:4])}" if nodes else ""
    folder = record.paths.get("root", "its folder")
    change = f"See whether {folder} is there and can be written{where}, and is not full."
    return replace(NOT_STARTED, change=change, nodes=tuple(nodes))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."

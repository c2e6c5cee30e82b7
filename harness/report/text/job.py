"""Format a Slurm job, its attempts and the cause of its end."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.runs.record import Attempt, RunRecord, utc_at

if TYPE_CHECKING:  # a run that has ended is shown without what Slurm says of one that waits
    from harness.launch.slurm.job_state import JobState

_NODES_SHOWN = 4


def show_job(job: "JobState") -> str:
    """`PENDING (Resources): it is the next, …` or `RUNNING on node1, node2`."""
    if not job.pending:
        where = f" on {show_nodes(job.nodes)}" if job.nodes and not job.ended else ""
        return f"{job.state_text}{where}"
    if job.reason is None:
        return job.state
    meaning = show_reason(job.reason).replace("JOBID", job.job_id)
    when = f"; expected to start at {utc_at(job.started_s)}" if job.started_s else ""
    return f"{job.state} ({job.reason}){f': {meaning}' if meaning else ''}{when}"


def show_reason(reason_text: str) -> str:
    """The meaning of a pending reason, and what to do; empty for an unknown one."""
    from harness.launch.slurm.pending_reasons import find_reason

    reason = find_reason(reason_text)
    return "" if reason is None else "; ".join(filter(None, (reason.meaning, reason.fix)))


def show_nodes(nodes: Sequence[str]) -> str:
    """The names of the first few nodes, and the number of the others."""
    more = len(nodes) - _NODES_SHOWN
    return ", ".join(nodes[:_NODES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def show_attempt(attempt: Attempt) -> str:
    """`NODE_FAIL on node1, node2, exit code 1, from step 20; tried again: nccl-timeout, without node2`."""
    parts = [attempt.state + (f" on {show_nodes(attempt.nodes)}" if attempt.nodes else "")]
    if attempt.resumed_from is not None:
        parts.append(f"from step {attempt.resumed_from}")
    if attempt.exit_code:
        parts.append(f"exit code {attempt.exit_code}")
    again = f"; tried again: {attempt.retried}" if attempt.retried else ""
    without = f", without {show_nodes(attempt.excluded)}" if attempt.excluded else ""
    return ", ".join(parts) + again + without


def show_cause(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Rows that say why a run failed and what to change."""
    error = record.error
    if error is None:
        return
    if error.exit_code:
        rank = "" if error.rank is None else f" of rank {error.rank}"
        yield "exit code", f"{error.exit_code}{rank}"
    if cause := error.cause:
        yield "cause", f"{cause.name}: {cause.text}"
        if cause.evidence:
            yield "seen in", cause.evidence
        yield "to change", cause.change

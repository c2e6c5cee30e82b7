"""A Slurm job, its attempts and its end in words."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.runs.record import Attempt, RunRecord, utc_at

if TYPE_CHECKING:  # a run that has ended is shown without what Slurm says of one that waits
    from harness.launch.slurm.job_state import JobState

_NODES_SHOWN = 4


def show_job(job: "JobState") -> str:
    """`PENDING (Resources): it is the next, …` or `RUNNING on node1, node2`."""
    if not job.waiting:
        where = f" on {show_nodes(job.nodes)}" if job.nodes and not job.over else ""
        return f"{job.words}{where}"
    if job.reason is None:
        return job.state
    meaning = show_reason(job.reason).replace("JOBID", job.job_id)
    when = f"; expected to start at {utc_at(job.started_s)}" if job.started_s else ""
    return f"{job.state} ({job.reason}){f': {meaning}' if meaning else ''}{when}"


def show_reason(shown: str) -> str:
    """What a reason for waiting means, and what one may do; nothing for an unknown one."""
    from harness.launch.slurm.pending_reasons import find_reason

    reason = find_reason(shown)
    return "" if reason is None else "; ".join(filter(None, (reason.meaning, reason.fix)))


def show_nodes(nodes: Sequence[str]) -> str:
    """The first few by name."""
    more = len(nodes) - _NODES_SHOWN
    return ", ".join(nodes[:_NODES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def show_attempt(attempt: Attempt) -> str:
    """`NODE_FAIL on node1, node2, exit code 1, from step 20; tried again: nccl-timeout, without node2`."""
    words = [attempt.state + (f" on {show_nodes(attempt.nodes)}" if attempt.nodes else "")]
    if attempt.resumed_from is not None:
        words.append(f"from step {attempt.resumed_from}")
    if attempt.exit_code:
        words.append(f"exit code {attempt.exit_code}")
    again = f"; tried again: {attempt.retried}" if attempt.retried else ""
    without = f", without {show_nodes(attempt.excluded)}" if attempt.excluded else ""
    return ", ".join(words) + again + without


def show_cause(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Rows that say why a run ended badly and what to change."""
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

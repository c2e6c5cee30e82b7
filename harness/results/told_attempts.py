"""The attempts of a Slurm run: what its own script wrote of each start, beside what Slurm says of them."""

from collections.abc import Sequence
from itertools import zip_longest

from harness.launch.attempts import AttemptFacts
from harness.launch.job_state import JobState
from harness.results.record import Attempt, utc_at

_SKEW_S = 5
"""How far a node's clock may be from the controller's. Slurm starts a requeued job later than that."""


def tell_attempts(
    facts: Sequence[AttemptFacts], job: JobState | None, history: Sequence[JobState], job_id: str
) -> tuple[Attempt, ...]:
    """Every start that either side knows of, the first one first.

    A start that accounting does not tell has a state derived from its facts; REQUEUED stands for one that Slurm itself
    followed by another: a node was lost, the job preempted, or an operator's `scontrol requeue`.
    """
    rows = [row for row in history if row.started is not None and row.nodes]
    if job is not None and _is_start(job, facts) and not _has_row(rows, job):
        rows.append(job)
    pairs = _pairs(facts, rows)
    followers = (fact for fact, _ in pairs[1:])
    return tuple(
        _attempt(number, fact, row, follower, job_id=job_id, last=number == len(pairs) - 1)
        for number, ((fact, row), follower) in enumerate(zip_longest(pairs, followers))
    )


def _may_be(fact: AttemptFacts, row: JobState) -> bool:
    """Whether facts may be those of a start: the script begins after it, at once or when its nodes are ready.

    Facts without a time are only just being written, or were lost on a full disk.
    """
    if fact.started is None or row.started is None:
        return row.started is not None
    return row.started - _SKEW_S <= fact.started and (row.ended is None or fact.started <= row.ended + _SKEW_S)


def _is_start(job: JobState, facts: Sequence[AttemptFacts]) -> bool:
    """Whether what Slurm says of a job now is of a start, not of one to come: it may complete to be requeued."""
    if job.waiting or job.started is None:
        return False
    return job.state != "COMPLETING" or any(_may_be(fact, job) for fact in facts)


def _has_row(rows: Sequence[JobState], job: JobState) -> bool:
    return any(row.started == job.started for row in rows)


type _Pair = tuple[AttemptFacts | None, JobState | None]


def _pairs(facts: Sequence[AttemptFacts], rows: Sequence[JobState]) -> list[_Pair]:
    """Each start once; the last row chooses first, and the latest facts that may be its own."""
    free = list(facts)
    pairs: list[_Pair] = []
    for row in reversed(rows):
        fact = next((fact for fact in reversed(free) if _may_be(fact, row)), None)
        if fact is not None:
            free.remove(fact)
        pairs.append((fact, row))
    pairs += [(fact, None) for fact in free]
    return sorted(pairs, key=_begun)


def _begun(pair: _Pair) -> float:
    fact, row = pair
    return (fact.started if fact else None) or (row.started if row else None) or float("inf")


def _attempt(
    number: int,
    fact: AttemptFacts | None,
    row: JobState | None,
    follower: AttemptFacts | None,
    *,
    job_id: str,
    last: bool,
) -> Attempt:
    state = _state(fact, row, follower, last=last)
    started = (fact.started if fact else None) or (row.started if row else None)
    ended = (fact.ended if fact else None) or (row.ended if row and (row.over or not last) else None)
    exit_code = fact.exit_code if fact else None
    if exit_code is None and row and row.over and row.exit_code != 0:
        exit_code = row.exit_code
    return Attempt(
        number=number,
        job_id=(fact.job_id if fact else None) or job_id,
        state=state,
        nodes=(fact.nodes if fact else ()) or (row.nodes if row else ()),
        started=None if started is None else utc_at(started),
        ended=None if ended is None else utc_at(ended),
        exit_code=exit_code,
        resumed_from=fact.resumed if fact else None,
        retried=(fact.retry if fact else None) or (None if last or row is None else _why(row)),
        excluded=fact.excluded if fact else (),
    )


def _state(fact: AttemptFacts | None, row: JobState | None, follower: AttemptFacts | None, *, last: bool) -> str:
    if row is not None and (row.over or last):
        return row.words
    if fact is not None and fact.exit_code is not None and not _started_again(fact, follower):
        return "COMPLETED" if fact.exit_code == 0 else "FAILED"
    if not last:
        return row.state if row is not None and row.state not in ("PENDING", "RUNNING") else "REQUEUED"
    return "UNKNOWN"


def _started_again(fact: AttemptFacts, follower: AttemptFacts | None) -> bool:
    """Whether Slurm started the same job once more without being asked to by its script."""
    return follower is not None and follower.job_id in (None, fact.job_id) and fact.retry is None


def _why(row: JobState) -> str | None:
    return row.state if row.state in ("NODE_FAIL", "PREEMPTED", "BOOT_FAIL") else None

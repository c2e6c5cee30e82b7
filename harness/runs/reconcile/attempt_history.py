"""The attempts of a Slurm run: what its own script wrote of each start, beside what Slurm says of its job's starts.

The two are paired by the job's count of restarts, not by time: the clock of a node may be far from the controller's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from harness.launch.attempts import AttemptFacts
from harness.launch.slurm.job_state import JobState
from harness.runs.record import Attempt, utc_at


@dataclass(frozen=True, kw_only=True)
class _Start:
    """One start as each side tells it; the job's script may not have come to write anything."""

    job_id: str
    facts: AttemptFacts | None
    row: JobState | None


def attempts_of(
    facts: Sequence[AttemptFacts], job: JobState | None, history: Sequence[JobState], job_id: str
) -> tuple[Attempt, ...]:
    """Every start that either side knows of, the first one first; `job` and `history` are of the job `job_id`.

    A start that accounting does not tell has a state derived from its facts; REQUEUED stands for one that Slurm itself
    followed by another: a node was lost, the job preempted, or an operator's `scontrol requeue`.
    """
    others = [_Start(job_id=it.job_id, facts=it, row=None) for it in facts if it.job_id not in (None, job_id)]
    own = [it for it in facts if it.job_id in (None, job_id)]
    starts = _in_order(others, _paired(own, _rows(job, history, own), job_id))
    followers = (start.facts for start in starts[1:])
    return tuple(
        _attempt(number, start, follower, last=number == len(starts) - 1)
        for number, (start, follower) in enumerate(zip_longest(starts, followers))
    )


def _in_order(others: Sequence[_Start], own: Sequence[_Start]) -> list[_Start]:
    """By the number that the script gave them; one of which it wrote nothing stays behind the one before it."""
    placed = [(it.facts.number, it) for it in others if it.facts]
    number = -1
    for it in own:
        number = it.facts.number if it.facts else number
        placed.append((number, it))
    return [it for _, it in sorted(placed, key=lambda pair: pair[0])]


def _rows(job: JobState | None, history: Sequence[JobState], own: Sequence[AttemptFacts]) -> list[JobState | None]:
    """Slurm's starts of the job by their count of restarts: accounting's, then the controller's last word.

    Where accounting lacks some, as all do without it, None stands in their places.
    """
    rows: list[JobState | None] = [row for row in history if row.started_s is not None and row.nodes]
    if job is not None and _is_start(job, own) and not any(row and row.started_s == job.started_s for row in rows):
        rows.append(job)
    if not rows:
        return rows
    known = max((restart for _, restart in _restarts(own)), default=-1) + 1
    missing = known - len(rows)
    if own and missing >= 0 and rows[-1] is job and _is_new(job, own[-1]):
        missing += 1
    return [*[None] * missing, *rows]


def _is_start(job: JobState, own: Sequence[AttemptFacts]) -> bool:
    """Whether what Slurm says of a job now is of a start: not of one to come, nor of a job that never had one."""
    if job.state == "COMPLETING" and own and own[-1].exit_code is not None:
        return False  # it may be on its way back into the queue
    return not job.pending and job.started_s is not None and bool(job.nodes)


def _is_new(job: JobState | None, last: AttemptFacts) -> bool:
    """Whether the job's start is one of which its script has written nothing yet, so that `last` are of another."""
    if job is None:
        return False
    elsewhere = bool(last.nodes) and set(last.nodes) != set(job.nodes)
    later = last.ended_s is not None and not job.ended and (job.started_s or 0) > last.ended_s
    return last.retry is not None or elsewhere or later


def _restarts(own: Sequence[AttemptFacts]) -> list[tuple[AttemptFacts, int]]:
    """Facts with the job's count of restarts; where a full disk took that, it is the next one."""
    counted: list[tuple[AttemptFacts, int]] = []
    for it in own:
        following = counted[-1][1] + 1 if counted else 0
        counted.append((it, following if it.restart is None else max(it.restart, following)))
    return counted


def _paired(own: Sequence[AttemptFacts], rows: Sequence[JobState | None], job_id: str) -> list[_Start]:
    by_restart = {restart: it for it, restart in _restarts(own)}
    counts = sorted({*by_restart, *(count for count, row in enumerate(rows) if row)})
    return [
        _Start(job_id=job_id, facts=by_restart.get(count), row=rows[count] if count < len(rows) else None)
        for count in counts
    ]


def _attempt(number: int, start: _Start, follower: AttemptFacts | None, *, last: bool) -> Attempt:
    fact, row = start.facts, start.row
    started = (fact.started_s if fact else None) or (row.started_s if row else None)
    ended = (fact.ended_s if fact else None) or (row.ended_s if row and (row.ended or not last) else None)
    exit_code = fact.exit_code if fact else None
    if exit_code is None and row and row.ended and row.exit_code != 0:
        exit_code = row.exit_code
    return Attempt(
        number=number,
        job_id=start.job_id,
        state=_state(fact, row, follower, last=last),
        nodes=(fact.nodes if fact else ()) or (row.nodes if row else ()),
        started=None if started is None else utc_at(started),
        ended=None if ended is None else utc_at(ended),
        exit_code=exit_code,
        resumed_from=fact.resumed_step if fact else None,
        retried=(fact.retry if fact else None) or (None if last or row is None else _why(row)),
        excluded=fact.excluded if fact else (),
    )


def _state(fact: AttemptFacts | None, row: JobState | None, follower: AttemptFacts | None, *, last: bool) -> str:
    if row is not None and (row.ended or last):
        return row.state_text
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

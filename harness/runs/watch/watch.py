"""Following runs until they have ended: Slurm's word on their jobs, and their logs as these grow.

Slurm is asked in a thread of its own, for all runs at once: while its controller is down an answer takes a quarter of
a minute, and the logs go on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.launch.attempts import read_attempts
from harness.launch.rundir import RunPaths
from harness.launch.slurm.job_state import JobState
from harness.launch.slurm.pending_reasons import PendingReason, find_reason
from harness.runs.kind import Step
from harness.runs.log_reading import reader_of
from harness.runs.record import UNFINISHED
from harness.runs.store import StoredRun
from harness.runs.watch.log_tail import LogTail
from harness.runs.watch.reconcile_thread import ReconcileThread

_LOG_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True)
class StateChanged:
    """A run's status, its job's state or reason, or its attempts have changed. `job` is None where Slurm has none."""

    run: StoredRun
    job: JobState | None


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """A run's log has a new step."""

    run: StoredRun
    step: Step


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run has ended; its record is the last one."""

    run: StoredRun


@dataclass(frozen=True, kw_only=True)
class NeverStarts:
    """A run's job waits for what no waiting brings, and is not followed any more."""

    run: StoredRun
    job: JobState
    reason: PendingReason


@dataclass(frozen=True, kw_only=True)
class SlurmSilent:
    """Slurm has stopped answering, with the message of its program; None: it answers again."""

    why: str | None


@dataclass(frozen=True, kw_only=True)
class Noticed:
    """Something else that happened to a run, e.g. that someone removed its folder."""

    run: StoredRun
    text: str


type Event = StateChanged | Stepped | Ended | NeverStarts | SlurmSilent | Noticed


def watch(runs: Sequence[StoredRun], *, every_s: float, patient: bool = False) -> Iterator[Event]:
    """What happens to runs, until all have ended; Slurm is asked every `every_s` seconds.

    `patient`: jobs that can never start, as things are, are followed too.
    """
    followed = [_Followed(run) for run in runs]
    silent = False
    reconciling = ReconcileThread(every_s)
    try:
        while open_ones := [it for it in followed if not it.ended]:
            reconciled = reconciling.answer([it.run for it in open_ones], wait_s=min(_LOG_EVERY_S, every_s))
            for one in open_ones:
                yield from one.read_log()
            reconciling.soon = any(one.says_it_has_ended() for one in open_ones)
            if reconciled is None:
                continue
            if silent != bool(reconciled.unreachable):
                silent = not silent
                yield SlurmSilent(why=reconciled.unreachable)
            for one, run in zip(open_ones, reconciled.runs, strict=True):
                yield from one.take(run, reconciled.job_of(run), silent=silent)
                if not patient and not silent:
                    yield from one.give_up()
    finally:
        reconciling.close()


class _Followed:
    """One run, and what its follower has already heard of it."""

    def __init__(self, run: StoredRun) -> None:
        self.run = run
        self.ended = False
        self._reader = reader_of(run.record)
        self._tail = LogTail(run.folder / "log")
        self._last_state: object = None
        self._job: JobState | None = None
        self._hopeless: PendingReason | None = None
        self._problem: str | None = None
        self._removed = False
        self._backlog = self._tail.exists()
        self._ended_attempts: set[int] = set()

    def read_log(self) -> Iterator[Event]:
        """New steps; of what was there before one looked, the last step alone."""
        while (lines := self._tail.read_lines()) is not None:
            if self._tail.restarted:
                yield Noticed(run=self.run, text="its log was replaced or cut short; it is read from its beginning")
            steps = [step for line in lines if (step := self._reader.feed(line))]
            for step in steps[-1:] if self._backlog else steps:
                yield Stepped(run=self.run, step=step)
        self._backlog = False

    def says_it_has_ended(self) -> bool:
        """Whether the run's own script wrote down an end, which Slurm is about to confirm."""
        if self._problem:  # and asking again does not help
            return False
        facts = read_attempts(RunPaths(self.run.folder))
        return bool(facts) and facts[-1].exit_code is not None and facts[-1].number not in self._ended_attempts

    def take(self, run: StoredRun, job: JobState | None, *, silent: bool) -> Iterator[Event]:
        """The run as it now stands; where Slurm is silent, its last word on the job counts."""
        self.run = run
        self._job = job = job or (self._job if silent else None)
        if run.removed and not self._removed:
            self._removed = True
            yield Noticed(
                run=run, text=f"its folder {run.folder} was removed; its record is kept and written there again"
            )
        if run.problem and run.problem != self._problem:
            yield Noticed(run=run, text=run.problem)
        self._problem = run.problem
        if job and job.pending:  # requeued: its last end is no news any more
            self._ended_attempts |= {attempt.number for attempt in run.record.attempts}
        before = [(attempt.state, attempt.retried) for attempt in run.record.attempts[:-1]]
        now = (run.record.status, before, _shown(job))
        if now != self._last_state:
            self._last_state = now
            yield StateChanged(run=run, job=job)
        if run.record.status not in UNFINISHED:
            self.ended = True
            yield from self.read_log()
            yield Ended(run=run)

    def give_up(self) -> Iterator[Event]:
        """The end of following a job for which Slurm gave the same reason that it can never start twice in a row."""
        job = self._job
        reason = find_reason(job.reason) if job and job.pending and job.reason else None
        before, self._hopeless = self._hopeless, reason if reason and reason.never and reason.conclusive else None
        if job and reason and reason is before and not self.ended:
            self.ended = True
            yield NeverStarts(run=self.run, job=job, reason=reason)


def _shown(job: JobState | None) -> object:
    """What of a job is worth telling when it changes; when a waiting one is expected to start changes all the time."""
    return job and (job.state, job.reason if job.pending else None, job.nodes)

"""Ask Slurm for jobs: its controller's memory (squeue, scontrol) and its accounting (sacct).

The controller forgets a job MinJobAge after its end: squeue then answers several ids with nothing and exit 0, and one
id with an error. So an empty answer does not mean that a job has ended, and it is kept apart from no answer at all, of
the controller or of accounting, and from the answer of another cluster.
"""

import os
import re
import time
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import batched

from harness.launch.slurm.command import PATIENCE_S, Answer, call, cluster_option
from harness.launch.slurm.job_state import JobState, SubmittedIn, exit_code
from harness.launch.slurm.sacct import SACCT_OPTIONS, no_accounting, sacct_rows
from harness.launch.slurm.squeue import SQUEUE_OPTIONS, squeue_rows

_IDS_A_CALL = 400  # some thousand bytes of arguments
_UNKNOWN_ID = "Invalid job id"
_CLOCKS_S = 60
"""The most by which this machine's clock may differ from the controller's."""

_EXIT = re.compile(r"\bExitCode=(\d+:\d+)")


@dataclass(frozen=True, kw_only=True)
class QueueView:
    """The states of jobs; one not in `states` is unknown to Slurm if `unreachable` is None, else nothing is known.

    `history` holds every start, the first one first, of the jobs for which accounting was asked.
    """

    states: Mapping[str, JobState] = field(default_factory=dict)
    history: Mapping[str, tuple[JobState, ...]] = field(default_factory=dict)
    unreachable: str | None = None


@dataclass(frozen=True, kw_only=True)
class FoundJobs:
    """Jobs by where they were submitted; `unreachable` says why Slurm may know more of them."""

    jobs: Mapping[SubmittedIn, JobState] = field(default_factory=dict)
    unreachable: str | None = None


def ask(job_ids: Collection[str], *, cluster: str | None = None, patience_s: float = PATIENCE_S) -> QueueView:
    """Ask for jobs of one cluster: one call of squeue for all, and one of sacct for those that have ended.

    `patience_s` is the timeout of each call.
    """
    wanted, where = sorted(set(job_ids)), cluster_option(cluster)
    states: dict[str, JobState] = {}
    unreachable: str | None = None
    for ids in batched(wanted, _IDS_A_CALL):
        answer = call(["squeue", *where, "--jobs=" + ",".join(ids), *SQUEUE_OPTIONS], patience_s=patience_s)
        unreachable = unreachable or _unreachable("squeue", answer, where, of_one_job=len(ids) == 1)
        states |= _by_id(answer, set(ids))
    open_ids = [job_id for job_id in wanted if job_id not in states or states[job_id].ended]
    history, silent = _histories(open_ids, where, patience_s)
    for job_id in open_ids:
        if found := _ended_state(states.get(job_id), history.get(job_id, ()), where, patience_s):
            states[job_id] = found
    if silent and not unreachable and not states.keys() >= set(wanted):
        unreachable = silent  # it may know what the controller has forgotten
    return QueueView(states=states, history=history, unreachable=unreachable)


def find_by_folder(wanted: Mapping[SubmittedIn, int]) -> FoundJobs:
    """Find this user's jobs by where they were submitted, each since the time given (seconds since the epoch)."""
    user = f"--user={os.getuid()}"
    answer = call(["squeue", user, *SQUEUE_OPTIONS])
    rows = {state.submitted_in: state for _, state in squeue_rows(answer)}
    begun = time.strftime("--starttime=%Y-%m-%dT%H:%M:%S", time.gmtime(min(wanted.values()) - _CLOCKS_S))
    account = call(["sacct", user, begun, *SACCT_OPTIONS])
    rows = {state.submitted_in: state for _, state in sacct_rows(account)} | rows
    return FoundJobs(
        jobs={where: rows[where] for where in wanted if where in rows},
        unreachable=_unreachable("squeue", answer) or _silent(account),
    )


def _unreachable(program: str, answer: Answer, where: Sequence[str] = (), *, of_one_job: bool = False) -> str | None:
    """Say why an answer cannot be relied on; None if it can. An unknown id is an answer where one job was asked for."""
    if answer.code == 0 or (of_one_job and answer.code is not None and _UNKNOWN_ID in answer.stderr):
        return None
    last = answer.stderr.splitlines()[-1] if answer.stderr else f"{program} ended with {answer.code}"
    return " ".join((*where, last.removeprefix("slurm_load_jobs error: ")))


def _silent(answer: Answer) -> str | None:
    """Say why accounting does not answer; None where it does, and where there is none."""
    return None if answer.code == 0 or no_accounting(answer) else _unreachable("sacct", answer)


def _by_id(answer: Answer, wanted: AbstractSet[str]) -> dict[str, JobState]:
    """Key jobs by the id asked for: a task of an array has the array's id with its index, and one of its own."""
    found: dict[str, JobState] = {}
    for ids, state in squeue_rows(answer):
        for job_id in wanted & set(ids):
            found.setdefault(job_id, state._replace(job_id=job_id))
    return found


def _histories(
    job_ids: Collection[str], where: Sequence[str], patience_s: float
) -> tuple[dict[str, tuple[JobState, ...]], str | None]:
    """Ask accounting for every start of each job; also return why it does not answer, if it does not."""
    histories: dict[str, tuple[JobState, ...]] = {}
    silent: str | None = None
    for ids in batched(job_ids, _IDS_A_CALL):
        answer = call(["sacct", *where, "--jobs=" + ",".join(ids), *SACCT_OPTIONS], patience_s=patience_s)
        silent = silent or _silent(answer)
        for names, state in sacct_rows(answer):
            for job_id in set(ids) & set(names):
                histories[job_id] = (*histories.get(job_id, ()), state._replace(job_id=job_id))
    return {job_id: tuple(sorted(rows, key=_begun)) for job_id, rows in histories.items()}, silent


def _begun(state: JobState) -> float:
    return float("inf") if state.started_s is None else state.started_s


def _ended_state(
    live: JobState | None, history: tuple[JobState, ...], where: Sequence[str], patience_s: float
) -> JobState | None:
    """Merge the states of an ended job: the controller's with what accounting adds, else accounting's if it has an end.

    A job that only accounting believes to be running is unknown: accounting may have missed its end.
    """
    last = history[-1] if history else None
    if live is None:
        return last if last and last.ended else None
    if last and last.state == live.state:
        return live._replace(exit_code=last.exit_code, cancelled_by=last.cancelled_by)
    return live._replace(exit_code=_code_by_scontrol(live.job_id, where, patience_s))


def _code_by_scontrol(job_id: str, where: Sequence[str], patience_s: float) -> int | None:
    answer = call(["scontrol", *where, "--oneliner", "show", "job", job_id], patience_s=patience_s)
    found = _EXIT.search(answer.stdout)
    return exit_code(found[1]) if found else None

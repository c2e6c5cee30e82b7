"""What Slurm knows of jobs: of its controller's memory (squeue, scontrol), and of its accounting (sacct).

The controller forgets a job MinJobAge after its end: squeue then answers several ids with nothing and exit 0, and one
id with an error. So an empty answer is no news of an end; it is told from a controller that does not answer at all.
"""

import os
import pwd
import re
import time
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import batched

from harness.launch.hostlist import expand_hosts
from harness.launch.slurm_command import PATIENCE_S, Answer, call

ENDED = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT"),
    }
)
"""States that no job leaves; a job that is requeued is shown as PENDING or REQUEUED instead."""

WAITING = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
)
"""States in which a job's script has not begun, or not begun again."""

_IDS_A_CALL = 400  # some thousand bytes of arguments
_UNKNOWN_ID = "Invalid job id"
_SQUEUE = ("%i", "%A", "%F", "%T", "%S", "%e", "%r", "%N", "%u", "%Z")  # the folder last: it may hold a bar
_SQUEUE_WORDS = ("--states=all", "--noheader", "--array", "--format=" + "|".join(_SQUEUE))
_SACCT = ("JobID", "JobIDRaw", "State", "ExitCode", "Start", "End", "NodeList", "User", "WorkDir")
_SACCT_WORDS = ("-X", "-n", "-P", "-D", "-o", ",".join(_SACCT))
_EXIT = re.compile(r"\bExitCode=(\d+:\d+)")


@dataclass(frozen=True, kw_only=True)
class JobState:
    """One job as Slurm sees it. Times are seconds since the epoch; `started` of a waiting job is when it is expected.

    `state` is Slurm's word alone; of a cancelled job `cancelled_by` is the user, where accounting tells. An exit by
    signal N is the code 128 + N, as in a shell.
    """

    job_id: str
    state: str
    reason: str | None = None
    nodes: tuple[str, ...] = ()
    exit_code: int | None = None
    started: int | None = None
    ended: int | None = None
    work_dir: str | None = None
    user: str | None = None
    cancelled_by: str | None = None

    @property
    def over(self) -> bool:
        """Whether the job has ended for good."""
        return self.state in ENDED

    @property
    def waiting(self) -> bool:
        """Whether the job waits in the queue, for the first time or again."""
        return self.state in WAITING

    @property
    def words(self) -> str:
        """The state as accounting writes it, e.g. `CANCELLED by alice`."""
        return f"{self.state} by {self.cancelled_by}" if self.cancelled_by else self.state


@dataclass(frozen=True, kw_only=True)
class QueueView:
    """Slurm's answer. A job not in `states` is unknown to Slurm if `unreachable` is None; else nothing is known of it.

    `history` holds, for jobs that accounting was asked of, every start of the job, the first one first.
    """

    states: Mapping[str, JobState] = field(default_factory=dict)
    history: Mapping[str, tuple[JobState, ...]] = field(default_factory=dict)
    unreachable: str | None = None


def ask(job_ids: Collection[str], *, cluster: str | None = None, patience_s: float = PATIENCE_S) -> QueueView:
    """The states of any number of jobs, in one call of squeue, and one of sacct for those that have ended."""
    wanted = sorted(set(job_ids))
    states: dict[str, JobState] = {}
    unreachable: str | None = None
    for ids in batched(wanted, _IDS_A_CALL):
        answer = call(["squeue", *_on(cluster), "--jobs=" + ",".join(ids), *_SQUEUE_WORDS], patience_s=patience_s)
        unreachable = unreachable or _unreachable("squeue", answer)
        states |= _by_id(answer, set(ids))
    open_ids = [job_id for job_id in wanted if job_id not in states or states[job_id].over]
    history = _histories(open_ids, cluster)
    for job_id in open_ids:
        if found := _settled(states.get(job_id), history.get(job_id, ()), cluster):
            states[job_id] = found
    return QueueView(states=states, history=history, unreachable=unreachable)


def find_by_folder(folders: Collection[str], *, since: int) -> QueueView:
    """This user's jobs by their working folder, submitted after `since` (seconds since the epoch)."""
    user = f"--user={os.getuid()}"
    answer = call(["squeue", user, *_SQUEUE_WORDS])
    rows = {state.work_dir: state for _, state in _squeue_rows(answer)}
    begun = time.strftime("--starttime=%Y-%m-%dT%H:%M:%S", time.gmtime(since))
    account = call(["sacct", user, begun, *_SACCT_WORDS])
    rows = {state.work_dir: state for _, state in _sacct_rows(account)} | rows
    return QueueView(
        states={folder: rows[folder] for folder in folders if folder in rows},
        unreachable=_unreachable("squeue", answer),
    )


def _on(cluster: str | None) -> tuple[str, ...]:
    return (f"--clusters={cluster}",) if cluster else ()


def _unreachable(program: str, answer: Answer) -> str | None:
    """Why there is no answer to rely on; None if there is one."""
    if answer.code == 0 or (answer.code is not None and _UNKNOWN_ID in answer.said):
        return None
    last = answer.said.splitlines()[-1] if answer.said else f"{program} ended with {answer.code}"
    return last.removeprefix("slurm_load_jobs error: ")


def _by_id(answer: Answer, wanted: AbstractSet[str]) -> dict[str, JobState]:
    """Jobs by the id they were asked for: a task of an array has the array's id with its index, and one of its own."""
    found: dict[str, JobState] = {}
    for ids, state in _squeue_rows(answer):
        for job_id in wanted & set(ids):
            found.setdefault(job_id, replace(state, job_id=job_id))
    return found


def _squeue_rows(answer: Answer) -> Iterator[tuple[tuple[str, ...], JobState]]:
    for line in answer.out.splitlines():
        parts = line.split("|", len(_SQUEUE) - 1)
        if len(parts) < len(_SQUEUE):  # a heading, such as CLUSTER: alps
            continue
        shown, raw, base, state, start, end, reason, nodes, user, folder = parts
        over = state in ENDED
        yield (
            (shown, raw, base),
            JobState(
                job_id=shown,
                state=state,
                reason=None if reason in ("None", "") else reason,
                nodes=expand_hosts(nodes),
                started=_moment(start),
                ended=_moment(end) if over else None,  # of others it is when the time limit will end them
                work_dir=folder,
                user=user,
            ),
        )


def _histories(job_ids: Collection[str], cluster: str | None) -> dict[str, tuple[JobState, ...]]:
    """Every start of each job, by accounting; nothing where there is none."""
    histories: dict[str, tuple[JobState, ...]] = {}
    for ids in batched(job_ids, _IDS_A_CALL):
        answer = call(["sacct", *_on(cluster), "--jobs=" + ",".join(ids), *_SACCT_WORDS])
        for names, state in _sacct_rows(answer):
            for job_id in set(ids) & set(names):
                histories[job_id] = (*histories.get(job_id, ()), replace(state, job_id=job_id))
    return {job_id: tuple(sorted(rows, key=_begun)) for job_id, rows in histories.items()}


def _begun(state: JobState) -> float:
    return float("inf") if state.started is None else state.started


def _sacct_rows(answer: Answer) -> Iterator[tuple[tuple[str, ...], JobState]]:
    if answer.code != 0:
        return
    for line in answer.out.splitlines():
        parts = line.split("|", len(_SACCT) - 1)
        if len(parts) < len(_SACCT):
            continue
        shown, raw, state, exit_code, start, end, nodes, user, folder = parts
        word, _, by = state.partition(" by ")
        yield (
            (shown, raw),
            JobState(
                job_id=shown,
                state=word,
                nodes=() if nodes == "None assigned" else expand_hosts(nodes),
                exit_code=_exit_code(exit_code),
                started=_moment(start),
                ended=_moment(end),
                work_dir=folder,
                user=user or None,
                cancelled_by=_user(by),
            ),
        )


def _settled(live: JobState | None, history: tuple[JobState, ...], cluster: str | None) -> JobState | None:
    """One state of an ended job: the controller's word, with what accounting adds; accounting's where it has an end.

    A job that only accounting believes to be running is unknown: accounting may have missed its end.
    """
    last = history[-1] if history else None
    if live is None:
        return last if last and last.over else None
    if last and last.state == live.state:
        return replace(live, exit_code=last.exit_code, cancelled_by=last.cancelled_by)
    return replace(live, exit_code=_code_by_scontrol(live.job_id, cluster))


def _code_by_scontrol(job_id: str, cluster: str | None) -> int | None:
    found = _EXIT.search(call(["scontrol", *_on(cluster), "--oneliner", "show", "job", job_id]).out)
    return _exit_code(found[1]) if found else None


def _exit_code(text: str) -> int | None:
    code, _, signum = text.partition(":")
    if not (code.isdecimal() and signum.isdecimal()):
        return None
    return 128 + int(signum) if signum != "0" and code == "0" else int(code)


def _moment(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _user(text: str) -> str | None:
    try:
        return pwd.getpwuid(int(text)).pw_name if text.isdecimal() else text or None
    except KeyError:
        return text

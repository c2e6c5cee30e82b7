"""The state of a job in Slurm."""

from typing import NamedTuple

ENDED_STATES = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT"),
    }
)
"""States that no job leaves; a job that is requeued is shown as PENDING or REQUEUED instead."""

PENDING_STATES = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
)
"""States in which a job's script has not begun, or not begun again."""


class SubmittedIn(NamedTuple):
    """The key of a job whose id was lost: the folder that it was submitted in, and its index in an array."""

    folder: str
    task: int | None = None


class JobState(NamedTuple):
    """The state of one job. Times are seconds since the epoch; `started_s` of a pending job is its expected start.

    `state` is Slurm's name of it; of a cancelled job `cancelled_by` is the user, where accounting says. An exit by
    signal N is the code 128 + N, as in a shell.
    """

    job_id: str
    state: str
    reason: str | None = None
    nodes: tuple[str, ...] = ()
    exit_code: int | None = None
    started_s: int | None = None
    ended_s: int | None = None
    work_dir: str | None = None
    user: str | None = None
    cancelled_by: str | None = None

    @property
    def submitted_in(self) -> SubmittedIn:
        """The job's working folder, and its index where it is a task of an array, `4711_3`."""
        task = self.job_id.partition("_")[2]
        return SubmittedIn(self.work_dir or "", int(task) if task.isdecimal() else None)

    @property
    def ended(self) -> bool:
        """Whether the job has ended for good."""
        return self.state in ENDED_STATES

    @property
    def pending(self) -> bool:
        """Whether the job is in the queue, for the first time or again."""
        return self.state in PENDING_STATES

    @property
    def state_text(self) -> str:
        """The state as accounting writes it, e.g. `CANCELLED by alice`."""
        return f"{self.state} by {self.cancelled_by}" if self.cancelled_by else self.state


def exit_code(text: str) -> int | None:
    """Parse `CODE:SIGNAL` into the exit code that a shell would show; None if it is none."""
    code, _, signum = text.partition(":")
    if not (code.isdecimal() and signum.isdecimal()):
        return None
    return 128 + int(signum) if signum != "0" and code == "0" else int(code)


def moment(text: str) -> int | None:
    """Parse seconds since the epoch; None where Slurm writes `N/A` or `Unknown`."""
    return int(text) if text.isdecimal() else None

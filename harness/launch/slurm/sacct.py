"""The options of sacct, and how its answer is parsed."""

import pwd
from collections.abc import Iterator

from harness.launch.slurm.command import Answer
from harness.launch.slurm.hostlist import expand_hosts
from harness.launch.slurm.job_state import JobState, exit_code, moment

_FIELDS = ("JobID", "JobIDRaw", "State", "ExitCode", "Start", "End", "NodeList", "User", "WorkDir")
SACCT_OPTIONS = ("-X", "-n", "-P", "-D", "-o", ",".join(_FIELDS))


def no_accounting(answer: Answer) -> bool:
    """Whether this cluster, or this machine, has no accounting to ask."""
    return "accounting storage is disabled" in answer.stderr or "is not on PATH" in answer.stderr


def sacct_rows(answer: Answer) -> Iterator[tuple[tuple[str, ...], JobState]]:
    """Parse each start of a job, with the ids by which it is known; nothing where there is no accounting."""
    if answer.code != 0:
        return
    for line in answer.stdout.split("\n"):
        parts = line.split("|", len(_FIELDS) - 1)
        if len(parts) < len(_FIELDS):
            continue
        shown, raw, state, code, start, end, nodes, user, folder = parts
        name, _, by = state.partition(" by ")
        yield (
            (shown, raw),
            JobState(
                job_id=shown,
                state=name,
                nodes=() if nodes == "None assigned" else expand_hosts(nodes),
                exit_code=exit_code(code),
                started_s=moment(start),
                ended_s=moment(end),
                work_dir=folder,
                user=user or None,
                cancelled_by=_user(by),
            ),
        )


def _user(text: str) -> str | None:
    try:
        return pwd.getpwuid(int(text)).pw_name if text.isdecimal() else text or None
    except KeyError:
        return text

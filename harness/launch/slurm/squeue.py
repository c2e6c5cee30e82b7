"""The options of squeue, and how its answer is parsed."""

from collections.abc import Iterator

from harness.launch.slurm.command import Answer
from harness.launch.slurm.hostlist import expand_hosts
from harness.launch.slurm.job_state import ENDED_STATES, JobState, moment

_FIELDS = ("%i", "%A", "%F", "%T", "%S", "%e", "%r", "%N", "%u", "%Z")  # the folder last: it may hold a bar
SQUEUE_OPTIONS = ("--states=all", "--noheader", "--array", "--format=" + "|".join(_FIELDS))


def squeue_rows(answer: Answer) -> Iterator[tuple[tuple[str, ...], JobState]]:
    """Parse each job, with the ids by which it is known: as shown, its own, and its array's."""
    for line in answer.stdout.split("\n"):
        parts = line.split("|", len(_FIELDS) - 1)
        if len(parts) < len(_FIELDS):  # a heading, such as CLUSTER: alps
            continue
        shown, raw, base, state, start, end, reason, nodes, user, folder = parts
        ended = state in ENDED_STATES
        yield (
            (shown, raw, base),
            JobState(
                job_id=shown,
                state=state,
                reason=None if reason in ("None", "") else reason,
                nodes=expand_hosts(nodes),
                started_s=moment(start),
                ended_s=moment(end) if ended else None,  # of others it is when the time limit will end them
                work_dir=folder,
                user=user,
            ),
        )

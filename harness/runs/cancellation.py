"""Ending a run that is under way: by Slurm, or by the process that supervises it on this host."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from harness.launch.processes import end_leftovers
from harness.launch.supervisor_lock import is_supervised, supervisor_pid
from harness.runs.store import StoredRun


def can_be_ended_here(run: StoredRun) -> bool:
    """Whether who runs it can be reached from this host: Slurm always, a supervisor only where it lives."""
    return run.record.job.on == "slurm" or is_supervised(run.paths) is not None


def request_end(run: StoredRun) -> str | None:
    """Ask for a run's end without waiting for it; the complaint if that is refused.

    What a dead supervisor left running is ended at once.
    """
    if run.record.job.on == "slurm":
        from harness.launch.slurm.submit import cancel

        return cancel(run.record.job.job_id or "", cluster=run.record.job.cluster)
    pid = supervisor_pid(run.paths)
    if pid is None:
        end_leftovers(Path(run.opened_as))
        return None
    try:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, signal.SIGTERM)
    except PermissionError:
        return f"process {pid} supervises it and is another user's; ask that user, or root"
    return None


@contextmanager
def term_as_ctrl_c() -> Iterator[None]:
    """Take the SIGTERM of `request_end` as Ctrl-C: by itself it leaves no time to write how the run ended."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

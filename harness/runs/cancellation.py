"""Ending a run that is under way: by Slurm, or by the process that supervises it on this host."""

import contextlib
import os
import signal
from pathlib import Path

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
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, signal.SIGTERM)
    except PermissionError:
        return f"process {pid} supervises it and is another user's; ask that user, or root"
    return None

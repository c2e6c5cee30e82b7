"""Find and end all processes of a run, its ranks' children and their daemons included.

torchrun starts each rank in a session of its own, so no process group holds them all. What they share is RUN_DIR in
their environment, which no other run has.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

_LEFTOVERS_GRACE_S = 2.0
_KILL_WAIT_S = 5.0  # a process stuck in the kernel cannot be killed, and must not hang us


def processes_of(folder: Path, *, named: str | None = None) -> list[int]:
    """The ids of this user's processes that carry `RUN_DIR=folder`, by name if one is given; none without a /proc."""
    mark = b"RUN_DIR=" + os.fsencode(folder)
    found = (path for path in Path("/proc").glob("[0-9]*") if mark in _environment(path).split(b"\0"))
    return [int(path.name) for path in found if named in (None, _name(path))]


def end_leftovers(folder: Path) -> None:
    """Ends whatever a finished run left behind: asks first, and kills what has not gone."""
    for signum, patience_s in ((signal.SIGTERM, _LEFTOVERS_GRACE_S), (signal.SIGKILL, _KILL_WAIT_S)):
        deadline = time.monotonic() + patience_s
        _signal_all(folder, signum)
        while processes_of(folder) and time.monotonic() < deadline:
            time.sleep(0.02)


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # gone since, or another user's
        return b""


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""


def _signal_all(folder: Path, signum: signal.Signals) -> None:
    for pid in processes_of(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)

"""The lock of the process that supervises a run on this machine: it is held as long as the process lives."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator

from harness.launch.rundir import RunPaths


@contextlib.contextmanager
def supervising(paths: RunPaths) -> Iterator[None]:
    """Mark this process as the run's supervisor until it leaves or dies; do nothing where files cannot be locked."""
    with paths.owner.open("w", encoding="utf-8") as file:
        # Where nothing can be locked it stays empty, and nobody knows whether this lives, as on another host.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(f"{os.getpid()} {socket.gethostname()}\n")
            file.flush()
        yield


def is_supervised(paths: RunPaths) -> bool | None:
    """Whether the supervisor of a run lives; None if that cannot be known, as on another host."""
    try:
        with paths.owner.open("r", encoding="utf-8") as file:
            if file.read().split()[1:] != [socket.gethostname()]:
                return None
            return not _lock_is_free(file.fileno())
    except OSError:
        return None


def supervisor_pid(paths: RunPaths) -> int | None:
    """The id of the process that supervises a run on this host; None where none does, or that cannot be known."""
    if not is_supervised(paths):
        return None
    with contextlib.suppress(OSError, ValueError, IndexError):  # it has just ended, and another took its place
        return int(paths.owner.read_text(encoding="utf-8").split()[0])
    return None


def _lock_is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

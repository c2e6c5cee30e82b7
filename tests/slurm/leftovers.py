"""Ends whatever still runs of a cluster, and removes its folder, once standard input closes: `leftovers.py FOLDER`.

A process of its own, so that a test run killed outright leaves no daemon and no job behind either.
"""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def end_leftovers(folder: Path) -> None:
    """Kill until none is left: a batch script that dies may have started one more task."""
    while found := list(processes(folder)):
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder)


def processes(folder: Path) -> Iterator[int]:
    """Processes, zombies aside, that were started with the folder in their environment or hold a file in it open."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # It has ended, or is of a stranger who may not be looked at.
            if int(process.name) != os.getpid() and belongs(process, folder):
                yield int(process.name)


def belongs(process: Path, folder: Path) -> bool:
    """Tasks and batch scripts inherit SLURM_CONF; slurmstepd keeps its daemon's log open."""
    if f"={folder}/".encode() in (process / "environ").read_bytes():
        return True
    return any(target(link).startswith(f"{folder}/") for link in (process / "fd").iterdir())


def target(link: Path) -> str:
    """Where a descriptor points; nowhere once it is closed."""
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.stdin.read()
    end_leftovers(Path(sys.argv[1]))

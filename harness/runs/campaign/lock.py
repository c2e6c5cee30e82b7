"""One driver a campaign: a lock that dies with its holder."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from harness.disk import make_shared
from harness.errors import EnvironmentProblem, HarnessError
from harness.launch.rundir import output_problem
from harness.runs.record import utc_now

NAME = "lock"


class CampaignBusy(HarnessError):
    """Another process drives this campaign."""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold a campaign's folder, made if need be; a holder that has died holds nothing.

    CampaignBusy says who holds it, EnvironmentProblem why it cannot be held.
    """
    root = folder.parent.parent
    try:
        root.mkdir(parents=True, exist_ok=True)
        make_shared(folder.parent)
        folder.mkdir(exist_ok=True)
        file = (folder / NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise output_problem(root, error) from error
    with file:
        _lock(file, folder)
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {utc_now()}\n")
            file.flush()
        except OSError as error:
            raise output_problem(root, error) from error
        yield


def _lock(file: TextIO, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise CampaignBusy(
            f"sweep {folder.name} is driven by {file.read().strip() or 'another process'};"
            " let it go on, or end it there (its jobs stay) and give this command again"
        ) from None
    except OSError as error:
        raise EnvironmentProblem(
            f"{folder / NAME}: cannot be locked ({error.strerror}), and two drivers would submit a sweep twice;"
            " set OUTPUT_PATH to a folder on a file system with locks"
        ) from error

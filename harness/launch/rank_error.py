"""Which rank a run died of, and in its own words."""

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.launch.rundir import RunPaths
from harness.launch.tail import rank_files

_TRACEBACK = "Traceback (most recent call last):"
_FRAME = '\n  File "'
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_RANK_LABEL = re.compile(r"^\[rank\d+\]: ?", re.MULTILINE)  # torch's excepthook puts it before every line
_CPP_LOG = re.compile(r"^(\[rank\d+\]:)?\[[WIEF]\d{4} ")  # e.g. [W1121 07:11:02 ProcessGroup…]
_FAILURE = re.compile(r"^  rank +: (?P<rank>\d+) .*\n  exitcode +: (?P<code>-?\d+)", re.MULTILINE)
_OTHERS_FAULT = re.compile(
    r"Connection (closed|reset|refused)|[Bb]roken pipe|closed by (remote )?peer|remote process exited|SIGTERM"
    r"|Socket Timeout|Timed out waiting|failed to (recv|send)",
)
_TAIL_BYTES = 256 * 1024
_TAIL_LINES = 30


@dataclass(frozen=True, kw_only=True)
class RankError:
    """The first fault of a run: the rank (None: torchrun itself), its exit code and its own last words."""

    rank: int | None
    exit_code: int | None
    text: str


def find_rank_error(paths: RunPaths) -> RankError:
    """What a failed run on this node died of.

    A rank whose error is only that another one went away is passed over for one with an error of its own.
    """
    launcher = _read_end(paths.launcher_log)
    codes = {int(match["rank"]): int(match["code"]) for match in _FAILURE.finditer(launcher)}
    words = {int(path.parent.name): _read_end(path) for path in rank_files(paths.ranks, "stderr.log")}
    tracebacks = {rank: found for rank, text in words.items() if (found := last_traceback(text))}
    rank = _culprit(launcher, codes, tracebacks)
    if rank is None:
        return RankError(rank=None, exit_code=None, text=_last_lines(launcher))
    code = codes.get(rank)
    text = tracebacks.get(rank) or _without_traceback(code, words.get(rank, ""))
    return RankError(rank=rank, exit_code=code, text=text)


def _culprit(launcher: str, codes: Mapping[int, int], tracebacks: Mapping[int, str]) -> int | None:
    root = _FAILURE.search(launcher, max(launcher.find("Root Cause"), 0))
    first = int(root["rank"]) if root else None
    own = [rank for rank, text in tracebacks.items() if not _OTHERS_FAULT.search(text.rpartition(_FRAME)[2])]
    crashed = [rank for rank, code in codes.items() if code < 0 and code != -signal.SIGTERM]
    if first in own or first in crashed:
        return first
    return next(iter((*crashed, *own)), first)


def last_traceback(text: str) -> str | None:
    """The last Python traceback in a rank's stderr, with the exceptions it was chained to; None if there is none."""
    lines = [line for line in text.splitlines() if not _CPP_LOG.match(line)]
    lines = [_RANK_LABEL.sub("", line) for line in lines]
    starts = [index for index, line in enumerate(lines) if line == _TRACEBACK]
    if not starts:
        return None
    start = starts.pop()
    while starts and any(line.startswith(_CHAINED) for line in lines[starts[-1] : start]):
        start = starts.pop()
    return "\n".join(lines[start:]).strip()


def _without_traceback(code: int | None, stderr: str) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        cause = " (the kernel does that when memory runs out)" if name == "SIGKILL" else ""
        how = f"killed by {name}{cause}"
    else:
        how = "it left no traceback"
    return "\n".join(filter(None, (how, _last_lines(stderr))))


def _last_lines(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-_TAIL_LINES:])


def _read_end(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        return file.read().decode(errors="replace")

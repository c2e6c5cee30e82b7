"""Find the rank whose error ended a run, and the text of that error."""

import re
import signal
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.launch.attempts import RankExit
from harness.launch.exit_code import ABORTED, TERMINATED, as_in_a_shell
from harness.launch.log.log_file import open_part
from harness.launch.log.tail import rank_files
from harness.launch.rundir import RunPaths

_TRACEBACK = "Traceback (most recent call last):"
_FRAME = '\n  File "'
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_IGNORED = "Exception ignored "  # a destructor's, at the end: nothing ended by it
_RANK_LABEL = re.compile(r"^\[rank\d+\]: ?", re.MULTILINE)  # torch's excepthook puts it before every line
_CPP_LOG = re.compile(r"^(\[rank\d+\]:)?\[[WIEF]\d{4} ")  # e.g. [W1121 07:11:02 ProcessGroup…]
_FAILURE = re.compile(r"^  rank +: (?P<rank>\d+) .*\n  exitcode +: (?P<code>-?\d+)", re.MULTILINE)
_PEER_FAILURE = re.compile(
    r"Connection (closed|reset|refused)|[Bb]roken pipe|closed by (remote )?peer|remote process exited|SIGTERM"
    r"|Socket Timeout|Timed out waiting|failed to (recv|send)|DistBackendError|ncclRemoteError|NCCL operation timed out"
    r"|collective operation timeout",
)
_TAIL_BYTES = 256 * 1024
_LOG_TAIL_BYTES = 64 * 1024**2
_MOST_TRACEBACK_LINES = 400
_TAIL_LINES = 30
_SIGNALS = {128 + number: signal.Signals(number) for number in signal.valid_signals() if number in set(signal.Signals)}


@dataclass(frozen=True, kw_only=True)
class RankError:
    """The first error of a run: the rank (None: torchrun itself), its exit code, and its traceback or last lines."""

    rank: int | None
    exit_code: int | None
    text: str


def find_rank_error(paths: RunPaths) -> RankError:
    """Find the error that ended a run on this node.

    A rank that only lost its peer is passed over for one with an error of its own.
    """
    launcher = _read_end(paths.launcher_log)
    codes = {int(match["rank"]): as_in_a_shell(int(match["code"])) for match in _FAILURE.finditer(launcher)}
    texts = {int(path.parent.name): _read_end(path) for path in rank_files(paths.ranks, "stderr.log")}
    tracebacks = {rank: found for rank, text in texts.items() if (found := last_traceback(text))}
    root = _FAILURE.search(launcher, max(launcher.find("Root Cause"), 0))
    rank = _culprit(int(root["rank"]) if root else None, codes, tracebacks)
    if rank is None and not launcher.strip():  # a program of one process, which no torchrun starts
        rank = next(iter(texts), None)
    if rank is None:
        return RankError(rank=None, exit_code=None, text=_last_lines(launcher))
    code = codes.get(rank)
    text = tracebacks.get(rank) or _without_traceback(code, texts.get(rank, ""))
    return RankError(rank=rank, exit_code=code, text=text)


def find_rank_error_in_log(log: Path, exits: Mapping[int, RankExit], *, start_bytes: int = 0) -> RankError:
    """Find the error that ended a Slurm attempt, whose ranks wrote `RANK: text` to one log from `start_bytes` on.

    `exits` are the exit codes that ranks left, by rank.
    """
    failed = sorted((it.ended_s or 0, rank) for rank, it in exits.items() if it.code)
    codes = {rank: exits[rank].code for _, rank in failed}
    texts = _texts_from_traceback(log, start_bytes)
    # A rank that went on, or was asked to end, only printed what it had caught.
    unharmed = {rank for rank, it in exits.items() if it.code in (0, TERMINATED)}
    texts = {rank: text for rank, text in texts.items() if rank not in unharmed}
    tracebacks = {rank: found for rank, text in texts.items() if (found := last_traceback(text))}
    first = next((rank for rank, code in codes.items() if code != TERMINATED), next(iter(codes), None))
    rank = _culprit(first, codes, tracebacks)
    code = None if rank is None else codes.get(rank)
    if rank is not None and rank in tracebacks:
        return RankError(rank=rank, exit_code=code, text=tracebacks[rank])
    end = _last_lines_of(log, start_bytes, rank)
    return RankError(rank=rank, exit_code=code, text=end if rank is None else _without_traceback(code, end))


def _culprit(first: int | None, codes: Mapping[int, int], tracebacks: Mapping[int, str]) -> int | None:
    """The rank with an error of its own: the first to end if it has one; `codes` are in the order of ending."""
    own = [rank for rank in (*codes, *tracebacks) if rank in tracebacks and _is_own(tracebacks[rank])]
    # SIGABRT is how NCCL's watchdog ends a rank whose peer is gone.
    crashed = [rank for rank, code in codes.items() if code in _SIGNALS and code not in (TERMINATED, ABORTED)]
    if first in own or first in crashed:
        return first
    return next(iter((*crashed, *own)), first)


def _is_own(traceback: str) -> bool:
    return not _PEER_FAILURE.search(traceback.rpartition(_FRAME)[2])


def _labelled(log: Path, start_bytes: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield (rank, text) of the labelled lines in the log's end."""
    try:
        with open_part(log, start_bytes=start_bytes, most_bytes=_LOG_TAIL_BYTES) as file:
            for line in file:
                label, colon, text = line.partition(b": ")
                if colon and (rank := label.strip()).isdigit():
                    yield rank, text
    except OSError:
        return


def _texts_from_traceback(log: Path, start_bytes: int) -> dict[int, str]:
    """Collect each rank's lines from a traceback on; where it wrote many, from one of the last."""
    texts: dict[bytes, list[bytes]] = {}
    for rank, text in _labelled(log, start_bytes):
        begins = _TRACEBACK.encode() in text or _IGNORED.encode() in text
        if begins and len(texts.setdefault(rank, [])) >= _MOST_TRACEBACK_LINES // 2:
            texts[rank].clear()
        if rank in texts and len(texts[rank]) < _MOST_TRACEBACK_LINES:
            texts[rank].append(text)
    return {int(rank): b"".join(lines).decode(errors="replace") for rank, lines in texts.items()}


def _last_lines_of(log: Path, start_bytes: int, rank: int | None) -> str:
    """The last lines of one rank, or of all ranks."""
    if rank is None:
        return _last_lines(_read_end(log, start_bytes=start_bytes))
    own = str(rank).encode()
    lines = deque((text for label, text in _labelled(log, start_bytes) if label == own), maxlen=_TAIL_LINES)
    return b"".join(lines).decode(errors="replace").rstrip()


def last_traceback(text: str) -> str | None:
    """Find the last Python traceback in a rank's stderr, with the exceptions chained to it; None if there is none."""
    lines = [line for line in text.splitlines() if not _CPP_LOG.match(line)]
    lines = [_RANK_LABEL.sub("", line) for line in lines]
    starts = [
        index
        for index, line in enumerate(lines)
        if line == _TRACEBACK and not lines[max(index - 1, 0)].startswith(_IGNORED)
    ]
    if not starts:
        return None
    start = starts.pop()
    while starts and any(line.startswith(_CHAINED) for line in lines[starts[-1] : start]):
        start = starts.pop()
    end = next((index for index in range(start, len(lines)) if lines[index].startswith(_IGNORED)), None)
    return "\n".join(lines[start:end]).strip()


def _without_traceback(code: int | None, stderr: str) -> str:
    if code in _SIGNALS:
        name = _SIGNALS[code].name
        cause = " (the kernel does that when memory runs out)" if name == "SIGKILL" else ""
        ending = f"killed by {name}{cause}"
    else:
        ending = "it left no traceback"
    return "\n".join(filter(None, (ending, _last_lines(stderr))))


def _last_lines(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-_TAIL_LINES:])


def _read_end(path: Path, *, start_bytes: int = 0) -> str:
    try:
        with open_part(path, start_bytes=start_bytes, most_bytes=_TAIL_BYTES) as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""

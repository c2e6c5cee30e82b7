"""Run a script's ranks on this node: copy their lines into the log, and end all of them whatever happens."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import BinaryIO

from harness.launch.exit_code import as_in_a_shell
from harness.launch.log.tail import RankTails
from harness.launch.processes import end_leftovers
from harness.launch.rundir import RunPaths

type OnLine = Callable[[str], None]

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TERM_GRACE_S = 15.0
"""The time that ranks have to end themselves after a TERM."""

_POLL_S = 0.2  # often enough for a person, seldom enough that two busy ranks on two cores do not feel it


@dataclass(frozen=True, kw_only=True)
class ScriptEnd:
    """The exit code of the script's process, and the signal on which it was stopped, if it was."""

    exit_code: int
    stopped_by: signal.Signals | None


class _StopRequests:
    """The stop signals that came; a second one waives the grace."""

    def __init__(self) -> None:
        self.received: list[signal.Signals] = []

    def __call__(self, signum: int, _frame: FrameType | None) -> None:
        self.received.append(signal.Signals(signum))


def supervise(paths: RunPaths, environment: Mapping[str, str], on_line: OnLine) -> ScriptEnd:
    """Run the folder's script to its end. Ctrl-C and TERM end all ranks; none outlives this call."""
    with _catch_stop_signals() as stops, paths.log.open("ab") as log, paths.launcher_log.open("ab") as launcher_log:
        # A session of its own: a terminal's Ctrl-C reaches only us, and we end the ranks in order.
        process = subprocess.Popen(
            ["/bin/bash", str(paths.script)],
            env={**environment, "RUN_DIR": str(paths.root)},
            stdin=subprocess.DEVNULL,
            stdout=launcher_log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _follow(process, RankTails(paths.ranks), log, on_line, stops)
        finally:
            _kill(process)
            end_leftovers(paths.root)
    return ScriptEnd(
        exit_code=as_in_a_shell(process.returncode), stopped_by=stops.received[0] if stops.received else None
    )


def _follow(
    process: subprocess.Popen[bytes], tails: RankTails, log: BinaryIO, on_line: OnLine, stops: _StopRequests
) -> None:
    deadline: float | None = None
    while process.poll() is None:
        _pass_on(tails.read(), log, on_line)
        if stops.received and deadline is None:
            deadline = time.monotonic() + TERM_GRACE_S
            _signal_group(process, signal.SIGTERM)
        if deadline is not None and (time.monotonic() > deadline or len(stops.received) > 1):
            break
        time.sleep(_POLL_S)
    _pass_on(tails.read(final=True), log, on_line)


def _pass_on(lines: Iterator[bytes], log: BinaryIO, on_line: OnLine) -> None:
    for line in lines:
        log.write(line + b"\n")
        on_line(line.decode(errors="replace"))
    log.flush()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], signum: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signum)


@contextlib.contextmanager
def _catch_stop_signals() -> Iterator[_StopRequests]:
    stops = _StopRequests()
    before = {signum: signal.signal(signum, stops) for signum in STOP_SIGNALS}
    try:
        yield stops
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)

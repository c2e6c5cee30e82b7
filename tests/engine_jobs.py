"""Jobs of forked ranks, and the curves in their logs."""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO

_LOSSES = re.compile(r"iteration +(\d+)/.*?lm loss: (\S+)(?:.*?mtp_1 loss: (\S+))?.*?grad norm: (\S+)")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What a run logged of its training, a value an iteration. `mtp_loss` is empty without MTP."""

    iterations: tuple[int, ...]
    loss: tuple[float, ...]
    mtp_loss: tuple[float, ...]
    grad_norm: tuple[float, ...]

    def since(self, iteration: int) -> "Curve":
        """The part after `iteration`."""
        first = self.iterations.index(iteration) + 1
        return Curve(
            iterations=self.iterations[first:],
            loss=self.loss[first:],
            mtp_loss=self.mtp_loss[first:],
            grad_norm=self.grad_norm[first:],
        )


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that ended: an exit code a rank, and what all of them wrote."""

    exit_codes: tuple[int, ...]
    log: str

    @property
    def curve(self) -> Curve:
        """The training in its log. The job must have succeeded."""
        assert set(self.exit_codes) == {0}, f"exit codes {self.exit_codes}\n{self.log[-6000:]}"
        lines = _LOSSES.findall(self.log)
        assert lines, self.log[-6000:]
        return Curve(
            iterations=tuple(int(line[0]) for line in lines),
            loss=tuple(float(line[1]) for line in lines),
            mtp_loss=tuple(float(line[2]) for line in lines if line[2]),
            grad_norm=tuple(float(line[3]) for line in lines),
        )


class Ranks:
    """The server that forks ranks, seen from a test."""

    def __init__(self, requests: IO[str], answers: IO[str], folder: Path) -> None:
        self._requests, self._answers, self._folder = requests, answers, folder
        self._numbers = count()

    def run(
        self, *argv: str, world_size: int = 1, task: str = "train", environ: Mapping[str, str] | None = None
    ) -> Job:
        """Run one job to its end; `environ` is added to the ranks' environment."""
        log = self._folder / f"job-{next(self._numbers)}.log"
        request = {
            "task": task,
            "argv": argv,
            "world_size": world_size,
            "log": str(log),
            "environ": {**(environ or {})},
        }
        print(json.dumps(request), file=self._requests, flush=True)
        exit_codes = json.loads(self._answers.readline())
        return Job(exit_codes=tuple(exit_codes), log=log.read_text())


def start_server(command: list[str], environ: dict[str, str], folder: Path) -> tuple[Ranks, "subprocess.Popen[str]"]:
    """The server's process, and the `Ranks` that speaks with it."""
    server = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin
    assert server.stdout
    return Ranks(server.stdin, server.stdout, folder), server

"""Runs that something happens to while `runs watch` follows them, and what came of it as docs/faults.md tells it."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli_command import start_moe_harness
from cluster import Cluster
from launching import User, job_of

# At step 2 of the first attempt each rank waits for GO, and does FAULT. It holds a lock as long as it lives, so that
# ranks of another attempt can tell.
STAND_IN = """
import fcntl, os, signal, sys, time
from pathlib import Path
rank, last = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]) - 1
attempt, alive = len(os.listdir(os.environ["RUN_DIR"] + "/attempts")) - 1, Path(os.environ["ALIVE"])
steps = int(sys.argv[sys.argv.index("--train-iters") + 1])
own = (alive / f"{attempt}.{rank}").open("a")
fcntl.flock(own, fcntl.LOCK_EX)
for path in alive.glob("*.*"):
    if not path.name.startswith(f"{attempt}."):
        with path.open() as other:
            try:
                fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                (alive / f"{attempt} met {path.name}").touch()
def say(text):
    os.write(1, f"{text}\\n".encode())
for step in range(1, steps + 1):
    if rank == last:
        say(f" [2026-01-01 00:00:00.000000] iteration {step:8}/{steps:8} | consumed samples: {16 * step:12} |"
            " elapsed time per iteration (ms): 200.0 | learning rate: 1.0E-04 | global batch size:    16 |"
            f" lm loss: {10 - step / 10:.6E} | loss scale: 1.0 | grad norm: 1.0 |"
            " number of skipped iterations:   0 | number of nan iterations:   0 |")
    if step == 2 and not attempt:
        (alive / f"rank {rank} at step 2").touch()
        while not os.path.exists(os.environ["GO"]):
            time.sleep(0.05)
        exec(os.environ["FAULT"])
"""
WATCH = ("runs", "watch", "--every", "0.7")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the user saw, and the record and attempts in the words of docs/faults.md."""

    saw: str
    record: str
    attempts: str


class FaultyRun:
    """A run of two ranks a node that `runs watch` follows, and that goes no further than step 2 before `go`.

    `fault` is Python that each rank then does once, in the first attempt. `ready` returns when all ranks are there.
    Runs share the first node unless they are `exclusive`.
    """

    def __init__(
        self,
        folder: Path,
        cluster: Cluster,
        *words: str,
        fault: str = "",
        output: Path | None = None,
        watched: bool = True,
        exclusive: bool = False,
    ) -> None:
        self.cluster = cluster
        folder.mkdir(exist_ok=True)
        self.user = User(folder, cluster, output, STAND_IN)
        self.alive = folder / "alive"
        self.alive.mkdir()
        self.said = folder / "said"
        nodes = next((int(word.removeprefix("NNODES=")) for word in words if word.startswith("NNODES=")), 1)
        self.ranks = 2 * nodes
        self.user.environ |= {"FAULT": fault, "ALIVE": str(self.alive), "MOE_HARNESS_FENCE_S": "1"}
        own = () if exclusive else ("SBATCH_ARGS=--oversubscribe --nodelist=node1",)
        self.job = job_of(self.user.launch(*own, *words))
        self.folder = self.user.run_folder
        self._watching = self._watch() if watched else None

    def _watch(self) -> "subprocess.Popen[str]":
        with self.said.open("w") as said:
            return start_moe_harness(*WATCH, here=self.user.folder, environ=self.user.environ, output=said)

    def ready(self) -> "FaultyRun":
        """Once every rank is at step 2, and the user has seen that."""
        self.wait("all ranks are at step 2", lambda: len(list(self.alive.glob("rank *"))) == self.ranks)
        if self._watching:
            self.until_said("step 2/6")
        return self

    def go(self) -> None:
        """Let the ranks go on."""
        self.user.go.touch()

    def until_said(self, pattern: str) -> None:
        """Until `runs watch` has said something that a pattern, with `…` for anything, fits."""
        self.wait(f"watch says {pattern!r}", lambda: found_in(pattern, self.said.read_text()) is not None)

    def wait_for(self, *states: str) -> None:
        """Until the job is so."""
        self.cluster.wait_for(self.job, *states)

    @property
    def nodes(self) -> list[str]:
        """Where the job runs."""
        return self.cluster.run("scontrol", "show", "hostnames", self.cluster.show(self.job)["NodeList"]).stdout.split()

    def end(self) -> Outcome:
        """What came of it, once `runs watch` has ended by itself; nothing of the run is left in the queue."""
        if self._watching:
            self.watched()
        else:
            self.said.write_text(self.user("runs", "watch", self.job, "--every", "0.3").out)
        return self.outcome()

    def watched(self) -> None:
        """Once `runs watch` has ended by itself."""
        assert self._watching is not None
        try:
            self._watching.wait(timeout=90)
        except subprocess.TimeoutExpired:
            self._watching.kill()
            raise AssertionError(f"runs watch does not end:\n{self.said.read_text()}") from None

    def outcome(self, *said: str) -> Outcome:
        """What came of it, with anything else that was said to the user."""
        assert self.cluster.run("squeue", "--noheader", f"--jobs={self.job}", check=False).stdout == "", self.job
        assert [path.name for path in self.alive.glob("* met *")] == [], "two attempts lived at once"
        record = self.user.record()
        return Outcome(
            saw="\n".join((self.said.read_text() if self.said.exists() else "", *said)),
            record=told_record(record),
            attempts=told_attempts(record["attempts"]),
        )

    @property
    def log(self) -> str:
        """All that it printed so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait(self, what: str, reached: Callable[[], bool]) -> None:
        """Until something is so; else TimeoutError with what was said and printed."""
        self.cluster.wait(
            what,
            reached,
            60,
            lambda: (self.said.read_text() if self.said.exists() else "") + self.log,
        )


def told_record(record: dict[str, Any]) -> str:
    """`failed: node-failure`, or the status alone."""
    cause = (record["error"] or {}).get("cause")
    return record["status"] + (f": {cause['name']}" if cause else "")


def told_attempts(attempts: list[dict[str, Any]]) -> str:
    """`NODE_FAIL, then COMPLETED elsewhere`: elsewhere means on none of the nodes of the attempt before."""
    told = []
    for number, attempt in enumerate(attempts):
        before = set(attempts[number - 1]["nodes"]) if number else set()
        gone = before - set(attempt["nodes"])
        where = " elsewhere" if gone else ""
        why = f" ({attempt['retried']})" if attempt["retried"] else ""
        told.append(attempt["state"] + where + why)
    return ", then ".join(told) or "none"


def found_in(pattern: str, text: str, start: int = 0) -> int | None:
    """Where the first line's part that a pattern fits ends; runs of blanks count as one."""
    flat = re.sub(r"[ \t]+", " ", text)
    found = re.compile(".*".join(map(re.escape, re.sub(r" +", " ", pattern).split("…")))).search(flat, start)
    return found.end() if found else None


def unseen(patterns: list[str], text: str) -> str | None:
    """The first of some patterns that does not come in its place; None if all come, in order."""
    place = 0
    for pattern in patterns:
        end = found_in(pattern, text, place)
        if end is None:
            return pattern
        place = end
    return None

"""Read what the job's own script left of each attempt in the run's folder.

`attempts/N/facts` grows by lines `key=value`, and `attempts/N/ranks/R.exit` holds one rank's exit code and its time.
A line still being written, or one not understood, is passed over.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.launch.rundir import RunPaths

_NUMBER = re.compile(r"[0-9]{1,11}(\.[0-9]+)?")
"""A count, a size, or a moment that a calendar has."""


class RankExit(NamedTuple):
    """One rank's own exit code, and when it ended in seconds since the epoch."""

    code: int
    ended_s: float | None


class AttemptFacts(NamedTuple):
    """One start. Times are seconds since the epoch; without `exit_code` it runs, or ended without a word.

    `job_id` is `4711`, or `4711_3` of a task of an array.
    `work_dir` is the job's, as Slurm tells it; `log_start_bytes` is where its part of the log begins; `signals`
    are those that the batch shell got.
    """

    number: int
    job_id: str | None = None
    cluster: str | None = None
    restart: int | None = None
    work_dir: str | None = None
    nodes: tuple[str, ...] = ()
    started_s: int | None = None
    log_start_bytes: int = 0
    resumed_step: int | None = None
    saved_step: int | None = None
    signals: tuple[str, ...] = ()
    retry: str | None = None
    excluded: tuple[str, ...] = ()
    exit_code: int | None = None
    ended_s: int | None = None


def read_attempts(paths: RunPaths) -> tuple[AttemptFacts, ...]:
    """Read every attempt that left facts, the first one first."""
    return tuple(_read_attempt(paths, number) for number in sorted(_numbers(paths)))


def last_attempt(paths: RunPaths) -> AttemptFacts | None:
    """Read the newest attempt that left facts; None if there is none."""
    numbers = _numbers(paths)
    return _read_attempt(paths, max(numbers)) if numbers else None


def _numbers(paths: RunPaths) -> list[int]:
    return [int(name) for name in _names(paths.attempts) if name.isdecimal()]


def _read_attempt(paths: RunPaths, number: int) -> AttemptFacts:
    facts: dict[str, str] = {}
    signals: list[str] = []
    for name, value in _lines(paths.attempts / f"{number}/facts"):
        if name == "signal":
            signals.append(value.split(" ", 1)[0])
        facts[name] = value
    return AttemptFacts(
        number=number,
        job_id=facts.get("task") or facts.get("job"),
        cluster=facts.get("cluster") or None,
        restart=_whole(facts.get("restart")),
        work_dir=facts.get("work_dir"),
        nodes=tuple(facts.get("nodes", "").split()),
        started_s=_whole(facts.get("started")),
        log_start_bytes=_whole(facts.get("log_start")) or 0,
        resumed_step=_whole(facts.get("resumed")),
        saved_step=_whole(facts.get("saved")),
        signals=tuple(signals),
        retry=facts.get("retry"),
        excluded=tuple(facts.get("excluded", "").replace(",", " ").split()),
        exit_code=_whole(facts.get("exit")),
        ended_s=_whole(facts.get("ended")),
    )


def read_exits(paths: RunPaths, attempt: int) -> dict[int, RankExit]:
    """The exit codes that the ranks of an attempt left, by rank: a file each, so of a thousand ranks a thousand."""
    ranks: dict[int, RankExit] = {}
    folder = paths.attempts / f"{attempt}/ranks"
    for name in _names(folder):
        rank = name.removesuffix(".exit")
        if rank != name and rank.isdecimal():
            code, _, moment = _text(folder / name).strip().partition(" ")
            if code.isdecimal():
                ranks[int(rank)] = RankExit(code=int(code), ended_s=_number(moment))
    return dict(sorted(ranks.items()))


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    *whole, _ = _text(path).split("\n")
    for line in whole:
        name, equals, value = line.partition("=")
        if equals:
            yield name, value.strip()


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _whole(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)


def _number(text: str | None) -> float | None:
    return float(text) if text and _NUMBER.fullmatch(text) else None

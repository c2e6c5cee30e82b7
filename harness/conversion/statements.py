"""What a conversion states of itself in its run's log: what it does, how far it is, and that it is done."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from threading import Lock

from harness.checkpoint.conversion_facts import ConversionFacts

FACTS, PROGRESS, DONE = "moe-harness: conversion ", "moe-harness: converted bytes ", "moe-harness: conversion done "
"""Each begins a line that goes on with a JSON object."""

_PROGRESS_EVERY_S = 5.0

type WriteStatement = Callable[[str], None]


class ConversionStatements:
    """Writes the statements of one conversion; what the writer of a checkpoint takes as its `progress`."""

    def __init__(self, write: WriteStatement, facts: ConversionFacts, target: str) -> None:
        self._write = write
        self._facts: str | None = FACTS + json.dumps({**asdict(facts), "target": target})
        self._lock = Lock()
        self._start_s = self._stated_s = time.monotonic()
        self._total_bytes = self._before_bytes = self._done_bytes = 0

    def start(self, total_bytes: int, done_bytes: int) -> None:
        """Writing begins; an earlier run has written `done_bytes` of all."""
        self._start_s = self._stated_s = time.monotonic()
        self._total_bytes, self._before_bytes, self._done_bytes = total_bytes, done_bytes, done_bytes
        self._state_facts()
        self._state()

    def advance(self, written_bytes: int) -> None:
        """So many bytes more are written; several threads call this."""
        with self._lock:
            self._done_bytes += written_bytes
            if time.monotonic() - self._stated_s >= _PROGRESS_EVERY_S:
                self._state()

    def close(self) -> None:
        """Writing has ended, well or not."""
        with self._lock:
            self._state()

    def done(self) -> None:
        """The target is whole."""
        self._state_facts()
        self._write(DONE + json.dumps({"elapsed_s": round(time.monotonic() - self._start_s, 3)}))

    def _state_facts(self) -> None:
        """Once, and not before it is clear that the conversion may begin."""
        if self._facts:
            self._write(self._facts)
            self._facts = None

    def _state(self) -> None:
        self._stated_s = time.monotonic()
        stated = {
            "total": self._total_bytes,
            "done": self._done_bytes,
            "done_before": self._before_bytes,
            "elapsed_s": round(self._stated_s - self._start_s, 3),
        }
        self._write(PROGRESS + json.dumps(stated))

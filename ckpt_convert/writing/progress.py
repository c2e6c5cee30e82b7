"""The progress of writing: a bar on a terminal, a line every ten seconds elsewhere, nothing in tests."""

import time
from threading import Lock
from typing import Protocol, TextIO

from harness.units import show_bytes, show_seconds

_LINE_EVERY_S = 10.0


class Progress(Protocol):
    """What the writer reports to; several threads call `advance`."""

    def start(self, total_bytes: int, done_bytes: int) -> None:
        """Writing begins; `done_bytes` of all were written by an earlier run and say nothing of this one's speed."""

    def advance(self, written_bytes: int) -> None:
        """So many more bytes are written."""

    def close(self) -> None:
        """Writing has ended, well or not."""


class Silent:
    """Shows nothing."""

    def start(self, total_bytes: int, done_bytes: int) -> None:
        """Show nothing."""

    def advance(self, written_bytes: int) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""


class Bar:
    """A bar with bytes, bytes per second and the time left."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = Lock()

    def start(self, total_bytes: int, done_bytes: int) -> None:
        """Draw it."""
        from tqdm import tqdm  # imported late: most commands draw no bar

        self._bar = tqdm(
            total=total_bytes, initial=done_bytes, unit="B", unit_scale=True, unit_divisor=1024, file=self._stream
        )

    def advance(self, written_bytes: int) -> None:
        """Move it on."""
        with self._lock:
            self._bar.update(written_bytes)

    def close(self) -> None:
        """Leave it as it stands."""
        self._bar.close()


class Lines:
    """A line every ten seconds, and one at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = Lock()

    def start(self, total_bytes: int, done_bytes: int) -> None:
        """Take the time."""
        self._total_bytes, self._before_bytes, self._done_bytes = total_bytes, done_bytes, done_bytes
        self._start_s = self._shown_s = time.monotonic()

    def advance(self, written_bytes: int) -> None:
        """Count, and show a line if the last one is old."""
        with self._lock:
            self._done_bytes += written_bytes
            if time.monotonic() - self._shown_s >= _LINE_EVERY_S:
                self._show()

    def close(self) -> None:
        """Show where it ended."""
        with self._lock:
            self._show()

    def _show(self) -> None:
        self._shown_s = time.monotonic()
        print(self._line(self._shown_s - self._start_s), file=self._stream, flush=True)

    def _line(self, elapsed_s: float) -> str:
        """`1.00 GiB of 4.00 GiB (25%), 512.00 MiB/s, 6.00 s left`"""
        share = self._done_bytes / max(self._total_bytes, 1)
        line = f"{show_bytes(self._done_bytes)} of {show_bytes(self._total_bytes)} ({share:.0%})"
        if not (written := self._done_bytes - self._before_bytes):
            return line
        bytes_per_s = written / max(elapsed_s, 1e-9)
        left_s = (self._total_bytes - self._done_bytes) / bytes_per_s
        return f"{line}, {show_bytes(bytes_per_s)}/s" + (f", {show_seconds(left_s)} left" if left_s else "")


def progress_on(stream: TextIO) -> Progress:
    """A bar on a terminal, lines elsewhere."""
    return Bar(stream) if stream.isatty() else Lines(stream)

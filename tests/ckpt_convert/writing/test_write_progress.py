"""What is shown while a conversion writes."""

import io
import time
from pathlib import Path

import pytest
from small_conversion import SlowSource, convert_small, small_plan

from ckpt_convert.writing.progress import Bar, Lines, progress_on


class _Counting:
    """What the writer tells."""

    def start(self, total_bytes: int, done_bytes: int) -> None:
        self.total_bytes, self.begun_bytes, self.done_bytes = total_bytes, done_bytes, done_bytes

    def advance(self, written_bytes: int) -> None:
        self.done_bytes += written_bytes

    def close(self) -> None:
        self.closed = True


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_byte_is_told_once(tmp_path: Path) -> None:
    told = _Counting()
    convert_small(tmp_path / "target", threads=1, progress=told)
    assert (told.total_bytes, told.begun_bytes) == (small_plan().size_bytes, 0)
    assert told.done_bytes == told.total_bytes
    assert told.closed


def test_a_resumed_conversion_begins_where_it_stopped(tmp_path: Path) -> None:
    reads: list[None] = []

    def stop() -> None:
        reads.append(None)
        if len(reads) > 200:
            raise KeyError("enough")

    first, second = _Counting(), _Counting()
    with pytest.raises(KeyError):
        convert_small(tmp_path / "target", threads=1, progress=first, source=SlowSource(0, stop))
    assert first.closed
    convert_small(tmp_path / "target", threads=1, progress=second, resume=True)
    assert 0 < second.begun_bytes < first.done_bytes
    assert second.done_bytes == second.total_bytes


def test_lines_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 4.0, 11.0, 11.0, 20.0])  # start, two advances, the line after the second, close
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    progress = progress_on(stream)
    assert isinstance(progress, Lines)
    progress.start(4 * 2**30, 2**30)
    progress.advance(2**29)
    progress.advance(2**29)
    progress.close()
    assert stream.getvalue().splitlines() == [
        "2.00 GiB of 4.00 GiB (50%), 93.09 MiB/s, 22.00 s left",
        "2.00 GiB of 4.00 GiB (50%), 51.20 MiB/s, 40.00 s left",
    ]


def test_nothing_written_shows_no_rate() -> None:
    stream = io.StringIO()
    progress = Lines(stream)
    progress.start(2**30, 2**20)
    progress.close()
    assert stream.getvalue() == "1.00 MiB of 1.00 GiB (0%)\n"


def test_a_bar_on_a_terminal() -> None:
    stream = _Terminal()
    progress = progress_on(stream)
    assert isinstance(progress, Bar)
    progress.start(4 * 2**30, 2**30)
    progress.advance(2**30)
    progress.close()
    shown = stream.getvalue().rsplit("\r", 1)[-1]
    assert "50%" in shown
    assert "2.00G/4.00G" in shown
    assert "B/s]" in shown

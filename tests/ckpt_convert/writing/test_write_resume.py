"""Whatever ends a conversion, it goes on from there, and its output is the same."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from array_source import ArraySource
from small_conversion import SlowSource, convert_small, small_plan, small_source, tree

from ckpt_convert.tensors import Dtype
from harness.errors import ConfigError, Interrupted

HERE = Path(__file__).parent
SLOW = "from pathlib import Path; from small_conversion import *; import sys; "
SLOW += "convert_small(Path(sys.argv[1]), resume=True, source=SlowSource(0.002))"


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, bytes]:
    """The output of a conversion that nothing disturbs."""
    convert_small(tmp_path / "undisturbed")
    return tree(tmp_path / "undisturbed")


def test_the_bytes_do_not_depend_on_threads(expected: dict[str, bytes], tmp_path: Path) -> None:
    for threads in (1, 5):
        convert_small(tmp_path / f"{threads}", threads=threads)
        assert tree(tmp_path / f"{threads}") == expected


@pytest.mark.slow
def test_killed_before_every_step(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "killed_at_steps.py", tmp_path], env=_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


def test_killed_at_ten_random_moments(expected: dict[str, bytes], tmp_path: Path) -> None:
    moments = random.Random(3)
    kills = 0
    for _ in range(10):
        process = _start(tmp_path / "target")
        time.sleep(moments.uniform(0, 0.15))
        process.kill()
        process.wait()
        kills += not (tmp_path / "target").exists()
    if not (tmp_path / "target").exists():
        convert_small(tmp_path / "target", resume=True)
    assert tree(tmp_path / "target") == expected
    assert kills > 3


def test_finished_files_are_kept(expected: dict[str, bytes], tmp_path: Path) -> None:
    target = tmp_path / "target"
    _stop_after(40, target)
    finished = _finished(target)
    before = {name: (_partial(target) / "content" / name).stat().st_ino for name in finished}
    convert_small(target, resume=True)
    assert before
    assert {name: (target / name).stat().st_ino for name in finished} == before
    assert tree(target) == expected


def test_a_torn_last_line_and_a_shortened_file_do_not_count(expected: dict[str, bytes], tmp_path: Path) -> None:
    target = tmp_path / "target"
    _stop_after(60, target)
    first, *_ = _finished(target)
    os.truncate(_partial(target) / "content" / first, 1000)
    with (_partial(target) / "journal.jsonl").open("a") as journal:
        journal.write('{"name": "release/__0_7.dist')
    convert_small(target, resume=True)
    assert tree(target) == expected


def test_resume_begins_where_nothing_was_begun(expected: dict[str, bytes], tmp_path: Path) -> None:
    convert_small(tmp_path / "target", resume=True)
    assert tree(tmp_path / "target") == expected


def test_without_resume_the_user_decides(tmp_path: Path) -> None:
    target = tmp_path / "target"
    _stop_after(40, target)
    count = len(_finished(target))
    with pytest.raises(ConfigError) as raised:
        convert_small(target)
    message = str(raised.value)
    assert message.startswith(f"{_partial(target)} holds an interrupted conversion, {count} files and ")
    assert message.endswith(" done: go on with --resume, or remove the folder to begin anew")


@pytest.mark.parametrize("other", [{"fingerprint": "another source"}, {"plan": small_plan(layers=3)}])
def test_another_conversion_is_not_gone_on_with(other: dict[str, object], tmp_path: Path) -> None:
    _stop_after(40, tmp_path / "target")
    with pytest.raises(ConfigError, match="an interrupted conversion of another source or with other options"):
        convert_small(tmp_path / "target", resume=True, **other)
    assert _finished(tmp_path / "target")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as on a terminal; tests in the background inherit that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_and_the_schedulers_signal_end_it_in_a_second(
    number: signal.Signals, expected: dict[str, bytes], tmp_path: Path
) -> None:
    target, handlers = tmp_path / "target", (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    sent: list[float] = []

    def send() -> None:
        if not sent and _finished(target):
            sent.append(time.monotonic())
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted, match=r"target: interrupted; what is done is kept in .*: go on with --resume"):
        convert_small(target, source=SlowSource(told=send))
    assert time.monotonic() - sent[0] < 1
    assert not target.exists()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    convert_small(target, resume=True)
    assert tree(target) == expected


def test_an_error_in_one_thread_stops_the_others(tmp_path: Path) -> None:
    reads: list[int] = []

    def fail_late() -> None:
        reads.append(len(reads))
        if len(reads) == 30:
            raise ConfigError("model.safetensors: truncated")

    with pytest.raises(ConfigError, match=r"^model\.safetensors: truncated$"):
        convert_small(tmp_path / "target", source=SlowSource(told=fail_late))
    assert len(reads) < 40
    assert not (tmp_path / "target").exists()


def test_a_bug_is_not_swallowed(tmp_path: Path) -> None:
    arrays = {name: (Dtype.BF16, array) for name, array in small_source().arrays.items()}
    broken = ArraySource(arrays)
    del broken.arrays["tensor7"]
    with pytest.raises(KeyError, match="tensor7"):
        convert_small(tmp_path / "target", source=broken)


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    _stop_after(40, tmp_path / "target")
    journal = _partial(tmp_path / "target") / "journal.jsonl"
    journal.write_text(journal.read_text().replace("{", "?", 1))
    with pytest.raises(ConfigError, match=r"journal\.jsonl is damaged: remove .*target\.partial to begin anew"):
        convert_small(tmp_path / "target", resume=True)


class _Enough(Exception):
    """A failure that no code of ours foresees."""


def _stop_after(reads: int, target: Path) -> None:
    """Convert until one file at least is finished and so many reads were made."""
    made: list[None] = []

    def tell() -> None:
        made.append(None)
        if len(made) > reads and _finished(target):
            raise _Enough

    with pytest.raises(_Enough):
        convert_small(target, source=SlowSource(0, tell))


def _start(target: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", SLOW, target], env=_environment(), stderr=subprocess.DEVNULL)
    while process.poll() is None and not (target.exists() or (_partial(target) / "journal.jsonl").exists()):
        time.sleep(0.005)
    return process


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (HERE.parents[2], HERE.parents[1], HERE)))}


def _partial(target: Path) -> Path:
    return target.with_name("target.partial")


def _finished(target: Path) -> list[str]:
    """The files of which the journal tells."""
    journal = _partial(target) / "journal.jsonl"
    lines = journal.read_text().splitlines()[1:] if journal.exists() else []
    return [line.split('"')[3] for line in lines]

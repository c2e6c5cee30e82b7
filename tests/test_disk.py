"""Files written whole, folders for several users, and paths that may be anything."""

import stat
import threading
from pathlib import Path

import pytest

from harness.disk import expanded, is_file, is_folder, make_shared, write_whole


def test_writers_with_one_process_number_do_not_tear_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of two hosts that share the storage."""
    monkeypatch.setattr("os.getpid", lambda: 7)
    path, texts = tmp_path / "record.json", ["a" * 200_000, "b" * 300_000]
    write_whole(path, texts[0])

    def write_often(text: str) -> None:
        for _ in range(20):
            write_whole(path, text)

    writers = [threading.Thread(target=write_often, args=(text,)) for text in texts]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_text() in texts
    assert [it.name for it in tmp_path.iterdir()] == ["record.json"]


def test_a_shared_folder_is_for_whoever_may_write_around_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    make_shared(tmp_path / "sweeps")
    make_shared(tmp_path / "sweeps")
    assert stat.S_IMODE((tmp_path / "sweeps").stat().st_mode) == 0o1777


@pytest.mark.parametrize("text", ["x" * 5000, "~nobody-of-this-name/x", "a\0b", ""])
def test_no_path_is_too_odd_to_ask(text: str) -> None:
    assert not is_file(expanded(text))
    assert is_folder(expanded(text)) is (text == "")

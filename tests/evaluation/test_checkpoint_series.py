"""Which checkpoints of a folder an evaluation means."""

import os
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.evaluation.checkpoints import fingerprint, newest_whole, parse_steps, series_in


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Checkpoints of steps 50, 100 and 150; the last one was cut off while it was written."""
    for step in (50, 100, 150):
        folder = tmp_path / f"iter_{step:07d}"
        folder.mkdir()
        (folder / ".metadata").write_bytes(b"-")
        if step < 150:
            (folder / "metadata.json").write_text("{}")
    (tmp_path / "iter_0000200").mkdir()
    return tmp_path


def test_the_newest_whole_one_counts(saved: Path) -> None:
    assert newest_whole(saved).step == 100


def test_steps_come_in_their_order_each_once(saved: Path) -> None:
    assert [it.step for it in series_in(saved, parse_steps("100,50,100"))] == [50, 100]


def test_all_means_all_and_a_torn_one_is_told(saved: Path) -> None:
    with pytest.raises(ConfigError, match=r"iter_0000150: metadata.json missing"):
        series_in(saved, parse_steps("all"))
    (saved / "iter_0000150/metadata.json").write_text("{}")
    assert [it.step for it in series_in(saved, None)] == [50, 100, 150]


def test_absent_steps_are_named_beside_those_there(saved: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        series_in(saved, [50, 60, 70])
    assert caught.value.problems == (f"{saved}: no checkpoint of step 60, 70; there are: 50, 100, 150",)


def test_a_folder_without_steps_says_so(tmp_path: Path) -> None:
    for ask in (lambda: series_in(tmp_path, None), lambda: newest_whole(tmp_path)):
        with pytest.raises(ConfigError, match="no checkpoint"):
            ask()


@pytest.mark.parametrize("text", ["", "some", "1,,2", "1;2", "-5", "1.5"])
def test_what_is_no_list_of_steps(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: all, or numbers such as 500,1000"):
        parse_steps(text)


def test_other_weights_in_the_same_folder_have_another_fingerprint(saved: Path) -> None:
    checkpoint = newest_whole(saved)
    before = fingerprint(checkpoint)
    assert fingerprint(checkpoint) == before
    os.utime(checkpoint.folder / ".metadata", ns=(1, 1))
    assert fingerprint(checkpoint) != before

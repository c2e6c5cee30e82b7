"""A folder for every run."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small_disk import small_disk

from harness.errors import EnvironmentProblem
from harness.launch.rundir import create_run_dir


def test_launches_of_the_same_second_do_not_meet(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: create_run_dir(tmp_path / "out", "bench"), range(64)))
    assert len({paths.root for paths in made}) == 64
    assert all(paths.ranks.is_dir() and paths.run_id.startswith("bench-") for paths in made)


def test_the_path_is_absolute_wherever_it_is_said_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert create_run_dir(Path("runs"), "bench").log.is_relative_to(tmp_path / "runs")


def test_a_file_in_the_way(tmp_path: Path) -> None:
    taken = tmp_path / "runs"
    taken.touch()
    with pytest.raises(EnvironmentProblem) as caught:
        create_run_dir(taken, "bench")
    assert str(caught.value) == (
        f"OUTPUT_PATH={taken}: it is a file, not a folder; move it away, or set OUTPUT_PATH to another folder"
    )


@pytest.mark.usefixtures("as_nobody")
def test_a_folder_that_may_not_be_written() -> None:
    with pytest.raises(EnvironmentProblem) as caught:
        create_run_dir(Path("/etc"), "bench")
    assert str(caught.value) == (
        "OUTPUT_PATH=/etc: it is not writable for you; ask for write permission, or set OUTPUT_PATH to another folder"
    )


@pytest.fixture
def few_files(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB and few files."""
    with small_disk(tmp_path, "64k,nr_inodes=16") as disk:
        yield disk


def test_a_disk_that_takes_no_more_files(few_files: Path) -> None:
    for index in range(14):
        (few_files / str(index)).touch()
    with pytest.raises(EnvironmentProblem) as caught:
        create_run_dir(few_files, "bench")
    assert str(caught.value) == (
        f"OUTPUT_PATH={few_files}: the disk is full; free space there, or set OUTPUT_PATH to another folder"
    )

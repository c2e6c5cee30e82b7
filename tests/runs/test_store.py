"""Runs are found by id, by its beginning, by path; what is damaged is told and does not hide the rest."""

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from stored_records import load_version

from harness.launch.rundir import RunPaths
from harness.runs.record_file import save
from harness.runs.root import named
from harness.runs.store import RunNotFound, find_run, list_runs

RECORD = load_version(1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three runs, a folder that is none, and a file."""
    for run_id, created in (("mixtral-0a", "2025-01-01"), ("deepseek-1b", "2025-03-01"), ("deepseek-2c", "2025-02-01")):
        (tmp_path / run_id).mkdir()
        save(replace(RECORD, run_id=run_id, created=f"{created}T00:00:00Z"), RunPaths(tmp_path / run_id).record, {})
    (tmp_path / "datasets").mkdir()
    (tmp_path / "notes.txt").write_text("")
    return tmp_path


def test_the_newest_comes_first(root: Path) -> None:
    found = list_runs(root)
    assert [run.record.run_id for run in found.runs] == ["deepseek-1b", "deepseek-2c", "mixtral-0a"]
    assert found.runs[0].folder == root / "deepseek-1b"
    assert found.warnings == ()


def test_damaged_records_are_warnings(root: Path) -> None:
    RunPaths(root / "deepseek-1b").record.write_text("{")
    found = list_runs(root)
    assert [run.record.run_id for run in found.runs] == ["deepseek-2c", "mixtral-0a"]
    (warning,) = found.warnings
    assert warning.startswith(f"{root / 'deepseek-1b' / 'record.json'}: this record is damaged")


def test_a_root_that_does_not_exist_has_no_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none").runs == ()


@pytest.mark.parametrize("wanted", ["mixtral-0a", "mix", "{root}/mixtral-0a", "{root}/mixtral-0a/record.json"])
def test_a_run_is_found(root: Path, wanted: str) -> None:
    assert find_run(root, wanted.format(root=root)).record.run_id == "mixtral-0a"


def test_an_exact_id_wins_over_longer_ones(root: Path) -> None:
    (root / "deepseek").mkdir()
    save(replace(RECORD, run_id="deepseek"), RunPaths(root / "deepseek").record, {})
    assert find_run(root, "deepseek").record.run_id == "deepseek"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("deep", "deep: 2 runs in {root} begin with this: deepseek-1b, deepseek-2c; write more of the id"),
        ("mixtrall-0a", "mixtrall-0a: no such run in {root}; did you mean mixtral-0a?"),
        ("zzz", "zzz: no such run in {root}; known: deepseek-1b, deepseek-2c, mixtral-0a"),
        ("{root}/notes.txt", "{root}/notes.txt: no such run in {root}; known: deepseek-1b, deepseek-2c, mixtral-0a"),
        ("datasets", "datasets: no such run in {root}; known: deepseek-1b, deepseek-2c, mixtral-0a"),
    ],
)
def test_what_is_not_found_is_answered_with_names(root: Path, wanted: str, message: str) -> None:
    with pytest.raises(RunNotFound) as refused:
        find_run(root, wanted.format(root=root))
    assert str(refused.value) == message.format(root=root)


def test_no_runs_at_all_says_where_was_looked(tmp_path: Path) -> None:
    with pytest.raises(RunNotFound, match=r"x: there are no runs in .*; OUTPUT_PATH names the folder"):
        find_run(tmp_path, "x")


def test_a_run_is_named_so_that_the_next_command_finds_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLUSTER", raising=False)
    monkeypatch.setenv("OUTPUT_PATH", str(root))
    assert named(root / "mixtral-0a") == "mixtral-0a"
    monkeypatch.setenv("OUTPUT_PATH", "/elsewhere")
    assert named(root / "mixtral-0a") == str(root / "mixtral-0a")
    assert named(root / "it's") == shlex.quote(str(root / "it's"))
    monkeypatch.setenv("OUTPUT_PATH", "")
    monkeypatch.setenv("CLUSTER", "nowhere")  # no such conf: nothing but the folder is sure
    assert named(root / "mixtral-0a") == str(root / "mixtral-0a")


def test_ended_runs_are_listed_without_slurm(root: Path) -> None:
    code = f"import sys; from harness.cli.main import run; run(['runs', 'list', '--output-path', {str(root)!r}]);"
    done = subprocess.run(
        [sys.executable, "-c", code + "print(*sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "mixtral-0a" in done.stdout
    assert not set(done.stderr.split()) & {
        "harness.launch.slurm.queue",
        "harness.runs.reconcile.reconcile",
        "harness.arch",
        "yaml",
    }

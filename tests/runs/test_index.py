"""The index says what the records say, whatever happens to either of them."""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored_records import RECORDS, load_version, result_of, with_result

from harness.runs.columns import Row, column_types, row_of
from harness.runs.index import index_file
from harness.runs.index.location import index_path
from harness.runs.index.update import IndexedRoot, indexed_runs
from harness.runs.kinds import KINDS
from harness.runs.record import RunRecord
from harness.runs.record_file import save
from harness.runs.store import list_runs

LOCAL = replace(load_version(3), job=replace(load_version(3).job, on="local", job_id=None, cluster=None), error=None)


def put(root: Path, name: str, record: RunRecord = LOCAL, **changes: object) -> Path:
    """Write a run's record."""
    (root / name).mkdir(exist_ok=True, parents=True)
    path = root / name / "record.json"
    save(replace(record, run_id=name, **changes), path, {})  # type: ignore[arg-type]
    return path


def read_in(root: Path) -> tuple[IndexedRoot, list[str]]:
    """All runs, and the names of those whose records were read."""
    read: list[str] = []

    def told(folders: Sequence[Path]) -> Sequence[Path]:
        read.extend(folder.name for folder in folders)
        return folders

    return indexed_runs(root, told), read


def by_name(rows: Sequence[Row]) -> dict[str, Row]:
    return {row["run_id"]: row for row in rows}


def from_records(root: Path) -> dict[str, Row]:
    """What the records themselves say."""
    return {run.record.run_id: row_of(run) for run in list_runs(root).runs}


def from_index(root: Path) -> dict[str, Row]:
    found = indexed_runs(root)
    return {**by_name(found.ended), **{run.record.run_id: row_of(run) for run in found.unfinished}}


def index_of(root: Path) -> Path:
    path = index_path(root, os.environ)
    assert path is not None
    return path


def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        put(tmp_path, name)
    put(tmp_path, "open", status="running", ended=None)
    first, read = read_in(tmp_path)
    assert sorted(read) == ["a", "b", "c", "open"] and [run.record.run_id for run in first.unfinished] == ["open"]
    again, read = read_in(tmp_path)
    assert read == ["open"] and by_name(again.ended) == by_name(first.ended)
    put(tmp_path, "b", status="failed")
    shutil.rmtree(tmp_path / "c")
    changed, read = read_in(tmp_path)
    assert sorted(read) == ["b", "open"] and by_name(changed.ended)["b"]["status"] == "failed"
    assert set(by_name(changed.ended)) == {"a", "b"}


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "remove", "damage", "index", "wreck", "rename"]),
        st.sampled_from("abcd"),
        st.sampled_from(["completed", "failed", "running"]),
        st.one_of(st.none(), st.floats(0, 10)),
    ),
    max_size=14,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_kept_up_it_is_what_it_would_be_anew(actions: list[tuple[str, str, str, float | None]]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        root.mkdir()
        for number, (action, name, status, loss) in enumerate(actions):
            path = root / name / "record.json"
            if action == "put":
                record = with_result(LOCAL, summary=replace(result_of(LOCAL).summary, loss_last=loss))  # type: ignore[type-var]
                put(root, name, record, status=status)
            elif action == "remove":
                shutil.rmtree(path.parent, ignore_errors=True)
            elif action == "damage" and path.exists():
                path.write_text(path.read_text()[: 10 + number])
            elif action == "rename" and path.exists() and not (root / "z").exists():
                path.parent.rename(root / "z")
            elif action == "wreck" and index_of(root).exists():
                index_of(root).write_bytes(index_of(root).read_bytes()[: 40 * number])
            elif action == "index":
                indexed_runs(root)
        assert from_index(root) == from_index(root) == from_records(root)
        assert len(indexed_runs(root).warnings) == len(list_runs(root).unreadable)
        index_of(root).unlink(missing_ok=True)


WRECKS = {
    "empty": lambda text: "",
    "not JSON": lambda text: "{" + text,
    "cut off": lambda text: text[: len(text) // 2],
    "another figure": lambda text: text.replace("2.045", "1.045"),
    "a newer version": lambda text: text.replace('"version": 1', '"version": 2', 1),
    "another program's": lambda text: '{"format": "x"}\n[]\n',
    "a list": lambda text: "[1]\n" + text,
    "rows of nothing": lambda text: text.split("\n")[0] + "\n[null]\n",
}


@pytest.mark.parametrize("wreck", WRECKS)
def test_a_damaged_or_foreign_index_is_made_anew(wreck: str, tmp_path: Path) -> None:
    put(tmp_path, "a")
    before = indexed_runs(tmp_path).ended
    whole = index_of(tmp_path).read_text()
    index_of(tmp_path).write_text(WRECKS[wreck](whole))
    assert index_of(tmp_path).read_text() != whole
    after, read = read_in(tmp_path)
    assert (after.ended, read) == (before, ["a"])
    assert index_of(tmp_path).read_text() == whole


def test_an_index_of_other_columns_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a")
    indexed_runs(tmp_path)
    training = KINDS["training"]
    more = training._replace(column_types={**training.column_types, "colour": "VARCHAR"})
    monkeypatch.setitem(KINDS, "training", more)  # type: ignore[arg-type]
    found, read = read_in(tmp_path)
    assert read == ["a"] and found.ended[0]["colour"] is None


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "runs", "a")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    found = indexed_runs(tmp_path / "runs")
    assert [row["run_id"] for row in found.ended] == ["a"]
    assert found.unkept is not None and "Not a directory" in found.unkept
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.delenv("HOME", raising=False)
    assert len(indexed_runs(tmp_path / "runs").ended) == 1


def test_a_runs_folder_is_named_where_one_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "runs", "a")
    indexed_runs(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    found, read = read_in(Path("runs"))
    assert read == [] and found.ended[0]["folder"] == f"{tmp_path}/runs/a"


def test_old_records_are_read_and_newer_or_torn_ones_told(tmp_path: Path) -> None:
    for version in (1, 2, 3):
        (tmp_path / f"v{version}").mkdir()
        shutil.copy(RECORDS / f"version-{version}.json", tmp_path / f"v{version}/record.json")
    text = (tmp_path / "v3/record.json").read_text()
    for name, wrong in (("newer", text.replace('"schema_version": 3', '"schema_version": 99')), ("torn", text[:99])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_text(wrong)
    for _ in range(2):
        found = indexed_runs(tmp_path)
        assert len(found.ended) == 3
        assert {row["step_time_s"] for row in found.ended} == {2.045}
        assert [warning for warning in found.warnings if "99 is newer than this moe-harness" in warning]
        assert [warning for warning in found.warnings if "this record is damaged" in warning]


def test_facts_of_a_slurm_run_that_come_later_are_seen(tmp_path: Path) -> None:
    slurm = replace(load_version(3), attempts=(), error=None)
    put(tmp_path, "s", slurm)
    assert [row["status"] for row in indexed_runs(tmp_path).ended] == ["completed"]
    assert read_in(tmp_path)[1] == []
    (tmp_path / "s/attempts/1").mkdir(parents=True)
    (tmp_path / "s/attempts/1/facts").write_text("job=4711\n")
    assert [row["status"] for row in indexed_runs(tmp_path).ended] == ["completed"]
    with (tmp_path / "s/attempts/1/facts").open("a") as facts:
        facts.write("started=1800000000\n")
    found = indexed_runs(tmp_path)
    assert (found.ended, [run.record.status for run in found.unfinished]) == ((), ["running"])


def test_a_nan_is_missing_and_every_value_is_json(tmp_path: Path) -> None:
    summary = result_of(LOCAL).summary
    assert summary is not None
    odd = with_result(
        LOCAL, summary=replace(summary, loss_last=math.nan, mfu=math.inf), predicted={"step_time_s": math.nan}
    )
    put(tmp_path, "a", odd)
    (row,) = indexed_runs(tmp_path).ended
    assert (row["loss"], row["mfu"], row["predicted"]) == (None, None, {"step_time_s": None})
    assert list(row) == list(column_types())
    json.dumps(row, allow_nan=False)


MANY = """
import sys
from pathlib import Path
from harness.runs.index.update import indexed_runs
for _ in range(6):
    found = indexed_runs(Path(sys.argv[1]))
    assert len(found.ended) >= 20 and found.unkept is None, found.unkept
print(len(found.ended))
"""


def test_several_processes_keep_it_up_at_once(tmp_path: Path) -> None:
    for number in range(20):
        put(tmp_path, f"run-{number}")
    started = [
        subprocess.Popen([sys.executable, "-c", MANY, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for number in range(20, 30):
        put(tmp_path, f"run-{number}")
    ends = [(process.communicate(timeout=60), process.returncode) for process in started]
    assert [code for _, code in ends] == [0] * 4, ends
    assert from_index(tmp_path) == from_records(tmp_path)
    assert len(index_file.load_index(index_of(tmp_path), column_types())) == 30
    assert [path for path in index_of(tmp_path).parent.iterdir() if path.name.startswith(".")] == []

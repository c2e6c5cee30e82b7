"""`runs list`, `sql`, `export` and `import` as a user gives them."""

import csv
import json
import os
import shutil
import stat
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from cli_command import moe_harness
from stored_records import load_version

from harness.runs.record_file import save


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three runs of one model, the step times 1, 2 and 3 s falling with the age; one of them failed, one evaluated."""
    record = replace(load_version(3), error=None, attempts=())
    for number, status in enumerate(("completed", "failed", "completed"), 1):
        summary = replace(record.result.summary, median_s=float(number))  # type: ignore[union-attr]
        folder = tmp_path / f"runs/run-{number}"
        folder.mkdir(parents=True)
        changes = {"run_id": f"run-{number}", "status": status, "created": f"2026-01-0{number}T00:00:00Z"}
        result = replace(record.result, summary=summary)  # type: ignore[type-var]
        save(replace(record, result=result, **changes), folder / "record.json", {})  # type: ignore[arg-type]
    return tmp_path / "runs"


def test_a_list_filters_sorts_and_shows_columns(root: Path) -> None:
    def said(*words: str) -> str:
        answer = moe_harness("runs", "list", "--output-path", str(root), *words, here=root)
        assert (answer.code, answer.err) == (0, "")
        return answer.out

    assert [line.split()[0] for line in said().splitlines()[2:]] == ["run-3", "run-2", "run-1"]
    table = said("--where", "step_time_s<3", "--sort", "step_time_s", "--columns", "run_id,ep,mfu").splitlines()
    assert [line.split() for line in (table[0], *table[2:])] == [
        ["run", "ep", "MFU"],
        ["run-1", "2", "32.1%"],
        ["run-2", "2", "32.1%"],
    ]
    assert "created" in said("--columns", "+created", "--last", "1").splitlines()[0].split()
    assert json.loads(said("--json", "--columns", "run_id,dirty", "--status", "failed")) == [
        {"run_id": "run-2", "dirty": False}
    ]
    rows = list(csv.reader(StringIO(said("--csv", "--columns", "all", "--kind", "training"))))
    assert len(rows) == 4 and len(rows[0]) > 60
    assert said("--where", "ep=77") == f"none of the 3 runs in {root} is so\n"


def test_sql_in_every_form(root: Path) -> None:
    def said(*words: str) -> str:
        return moe_harness("runs", "sql", "--output-path", str(root), *words, here=root).out

    sql = "select status, count(*) n, median(step_time_s) s from runs group by status order by status"
    assert said(sql).splitlines()[2:] == ["completed  2    2", "failed     1    2"]
    assert json.loads(said(sql, "--json"))[0] == {"status": "completed", "n": 2, "s": 2.0}
    assert said(sql, "--csv") == "status,n,s\ncompleted,2,2.0\nfailed,1,2.0\n"
    assert "step_time_s" in said("--columns")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "--where", "epp=4"), "'epp' is no column; did you mean"),
        (("list", "--sort", "evaluated"), "evaluated holds several values"),
        (("list", "--columns", "run"), "'run' is no column"),
        (("list", "--json", "--csv"), "choose one"),
        (("sql",), "give one SELECT in quotes, or --columns alone"),
        (("sql", "delete from runs"), "would do more than read (DELETE)"),
        (("export", "x.zip", "run-1"), "an archive's name ends in .tar.zst"),
        (("export", "x.tar.zst", "run-9"), "no such run in"),
        (("export", "x.tar.zst", "run"), "3 runs in"),
        (("import", "x.tar.zst"), "x.tar.zst: no such file"),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], said: str, root: Path) -> None:
    answer = moe_harness("runs", *words, "--output-path", str(root), here=root)
    assert (answer.code, len(answer.errors)) == (2, 1)
    assert said in answer.errors[0] and "Traceback" not in answer.err


def test_there_and_back(root: Path, tmp_path: Path) -> None:
    packed = moe_harness(
        "runs", "export", "x.tar.zst", "run-1", "run-3", "--scrub", "--output-path", str(root), here=tmp_path
    )
    assert packed.code == 0 and packed.out.startswith("x.tar.zst: 2 runs, ") and packed.out.endswith(", scrubbed\n")
    (tmp_path / "there").mkdir()
    taken = moe_harness("runs", "import", "x.tar.zst", "--output-path", "there", here=tmp_path)
    assert (taken.code, taken.out) == (0, "there/run-1\nthere/run-3\n"), taken.err
    again = moe_harness("runs", "import", "x.tar.zst", "--output-path", "there", here=tmp_path)
    assert (again.code, again.err) == (0, "notice: run-1: is here already\nnotice: run-3: is here already\n")
    assert "run-3" in moe_harness("runs", "list", "--output-path", "there", here=tmp_path).out


def test_many_records_are_told_once_and_the_cache_is_ones_own(root: Path, tmp_path: Path) -> None:
    for number in range(600):
        shutil.copytree(root / "run-1", root / f"copy-{number}")
    own = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    first = moe_harness("runs", "list", "--last", "1", here=tmp_path, environ={**own, "OUTPUT_PATH": str(root)})
    assert first.err == "reading 603 records, which are indexed then\n"
    again = moe_harness("runs", "list", "--last", "1", here=tmp_path, environ={**own, "OUTPUT_PATH": str(root)})
    assert (again.err, again.out) == ("", first.out)
    (index,) = (tmp_path / "cache/moe-harness/runs").iterdir()
    assert stat.S_IMODE(index.parent.stat().st_mode) == 0o700
    full = {"XDG_CACHE_HOME": os.devnull, "OUTPUT_PATH": str(root)}
    none = moe_harness("runs", "list", "--last", "1", here=tmp_path, environ=full)
    assert (none.code, none.out) == (0, first.out)
    assert "notice: the index of runs cannot be kept, so that each call reads all records: /dev/null/" in none.err

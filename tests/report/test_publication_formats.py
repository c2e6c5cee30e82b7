"""The publication table as Markdown, CSV and LaTeX, and a run in MLPerf's format."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from report_runs import HOSTILE, STEPS, made_run, reported

from harness.report.text.mllog import as_mllog
from harness.report.text.publication_formats import as_csv, as_latex, as_markdown
from harness.report.text.publication_table import COLUMNS, CellValue, publication_row


@pytest.fixture
def row(tmp_path: Path) -> dict[str, CellValue]:
    """The row of a run."""
    return publication_row(reported(made_run(tmp_path, "a", step_s=1.8, ep=4)).record)


def test_a_row_has_what_was_in_effect(row: dict[str, CellValue]) -> None:
    assert list(row) != []
    assert set(row) == {column.name for column in COLUMNS}
    shown = {column.name: column.text(row[column.name]) for column in COLUMNS}
    assert (shown["EP"], shown["PP"], shown["Dispatcher"], shown["SEQ_LEN"]) == ("4", "2", "alltoall", "4,096")
    assert (shown["Step time"], shown["MFU"], shown["Memory"], shown["VPP"]) == ("1.800", "36.5", "42.54", "–")


def test_markdown_keeps_its_columns_whatever_a_cell_holds(row: dict[str, CellValue]) -> None:
    lines = as_markdown([row | {"Run": HOSTILE, "Model": "a|b\nc"}]).splitlines()
    assert len(lines) == 3
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(COLUMNS) + 1}
    assert "<script" not in lines[2].replace("\\<", "")
    assert "a\\|b c" in lines[2]


def test_csv_has_figures_in_full_and_no_formulas(row: dict[str, CellValue]) -> None:
    formulas = ["=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"]
    rows = list(csv.DictReader(io.StringIO(as_csv([row | {"Run": text} for text in formulas]))))
    assert [found["Run"][0] for found in rows] == ["'"] * len(formulas)
    assert float(rows[0]["TFLOP/s/GPU"]) == 650 / 1.8
    assert rows[0]["VPP"] == ""
    quoted = next(csv.DictReader(io.StringIO(as_csv([row | {"Run": HOSTILE + ',"\n'}]))))
    assert quoted["Run"] == HOSTILE + ',"\n'


def test_latex_has_no_command_of_a_cell(row: dict[str, CellValue]) -> None:
    line = as_latex([row | {"Run": HOSTILE, "Model": "a--b"}]).splitlines()[5]
    assert len(re.findall(r"(?<!\\)&", line)) == len(COLUMNS) - 1
    bare = re.sub(r"\\text[a-z]+\{\}|\\[{}$&#_%]|-\{\}|\\\\$", "", line)
    assert not set("{}$#_%^~\\<>|\"`'") & set(bare)
    assert "a-{}-b" in line
    assert line.endswith("-- & 4 & 1 & 64 & alltoall & none & 1.800 & 18,204 & 361.1 & 36.5 & 42.54 \\\\")


def test_mllog_has_the_run_in_the_order_of_time(tmp_path: Path) -> None:
    run = reported(made_run(tmp_path, "a"))
    lines = [json.loads(line.removeprefix(":::MLLOG ")) for line in as_mllog(run).splitlines()]
    keys = [line["key"] for line in lines]
    assert keys[0] == "init_start"
    assert keys[-1] == "run_stop"
    assert keys.count("tracked_stats") == STEPS
    assert keys.index("init_stop") + 1 == keys.index("run_start")
    assert [line["time_ms"] for line in lines] == sorted(line["time_ms"] for line in lines)
    assert lines[-1]["metadata"]["status"] == "success"
    stated = {line["key"]: line["value"] for line in lines}
    assert (stated["global_batch_size"], stated["submission_platform"]) == (64, "NVIDIA H200")
    assert set(lines[0]) == {"namespace", "time_ms", "event_type", "key", "value", "metadata"}

"""Reading tables of published results: the shipped one whole, and what is said of broken ones."""

from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.plan.published.rows import COLUMNS, SHIPPED, read_rows

HEADER = SHIPPED.read_text().splitlines()[0]
ROW = "here,DeepSeek-V3,H100,1024,BF16,4096,2,8,64,1,4,1,1,8192,none,alltoall,,,300,,,"


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join([header, *rows, ""]))
    return path


def test_every_shipped_row_is_read_with_its_line() -> None:
    rows = read_rows()
    assert [row.line for row in rows] == list(range(2, len(rows) + 2))
    assert len(rows) == 187
    first = rows[0]
    assert (first.model, first.n_gpus, first.recompute, first.tflops_per_gpu) == ("Qwen3-235B-A22B", 256, "full", 276.0)
    assert (first.tokens_per_s_per_gpu, first.mem_gb) == (None, None)


def test_a_column_more_and_another_order_change_nothing(tmp_path: Path) -> None:
    names, cells = HEADER.split(","), ROW.split(",")
    shuffled = table(tmp_path, ",".join(["x", *reversed(cells)]), header=",".join(["new", *reversed(names)]))
    there = read_rows(shuffled)
    assert there == read_rows(table(tmp_path, ROW))


def test_all_mistakes_of_a_row_are_named_at_once(tmp_path: Path) -> None:
    broken = ROW.replace("1024", "nan").replace(",300,", ",-1,").replace("DeepSeek-V3", "")
    path = table(tmp_path, ROW, broken, ROW.replace(",64,", ",6.5,").replace(",300,", ",inf,"))
    good, second, third = read_rows(path)
    assert good.problems == ()
    assert second.problems == (
        "n_gpus='nan'; allowed: a whole number from 1 to 100000000, or nothing",
        "tflops_per_gpu='-1'; allowed: a number from 1e-06 to 1e+12, or nothing",
    )
    assert third.problems == (
        "ep='6.5'; allowed: a whole number from 1 to 100000000, or nothing",
        "tflops_per_gpu='inf'; allowed: a number from 1e-06 to 1e+12, or nothing",
    )
    assert (second.n_gpus, second.model, third.ep, third.tp) == (None, "", None, 2)


@pytest.mark.parametrize("text", ["0", "-4096", "4k", "4096.5", "1e30", "inf"])
def test_a_length_is_a_whole_number_above_zero(tmp_path: Path, text: str) -> None:
    (row,) = read_rows(table(tmp_path, ROW.replace("4096", text)))
    assert row.problems == (f"seq_len={text!r}; allowed: a whole number from 1 to 100000000, or nothing",)


def test_a_whole_number_may_be_written_as_spreadsheets_do(tmp_path: Path) -> None:
    assert read_rows(table(tmp_path, ROW.replace("4096", "4096.0"))) == read_rows(table(tmp_path, ROW))


@pytest.mark.parametrize("text", ["0", "NaN", "fast"])
def test_a_step_time_is_a_number_above_zero(tmp_path: Path, text: str) -> None:
    (row,) = read_rows(table(tmp_path, ROW.replace(",,300,", f",{text},300,")))
    assert row.problems == (f"step_time_s={text!r}; allowed: a number from 1e-06 to 1e+12, or nothing",)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    header = HEADER.replace(",tp,", ",").replace("mem_gb,", "")
    with pytest.raises(ConfigError, match=r"table\.csv:1: no column tp, mem_gb; needed: source, model, gpu"):
        read_rows(table(tmp_path, header=header))


@pytest.mark.parametrize(("row", "problem"), [(ROW + ",", "more cells than"), ("here,DeepSeek-V3", "fewer cells than")])
def test_a_row_of_another_width_says_so(tmp_path: Path, row: str, problem: str) -> None:
    (found,) = read_rows(table(tmp_path, row))
    assert found.problems[0].startswith(f"{problem} the header has")


def test_files_that_are_no_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_rows(tmp_path / "absent.csv")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_rows(tmp_path)
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00source")
    with pytest.raises(ConfigError, match="no CSV in UTF-8"):
        read_rows(binary)
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(ConfigError, match=f"no column {COLUMNS[0]}"):
        read_rows(empty)

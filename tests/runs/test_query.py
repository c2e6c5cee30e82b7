"""SQL over runs reads, and does nothing else."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from stored_records import load_version

from harness.errors import ConfigError, EnvironmentProblem
from harness.evaluation.result import CheckpointFigures, EvaluationResult
from harness.runs.columns import Row, row_of
from harness.runs.query import query
from harness.runs.record import RunRecord
from harness.runs.store import StoredRun

EVALUATED = CheckpointFigures(checkpoint="/c", output_file="/o", step=5, loss=2.5, scores={"arc acc": 0.5})


def row(record: RunRecord, **changes: object) -> Row:
    return {**row_of(StoredRun(folder=Path("/runs/a"), record=record)), **changes}


def evaluation(record: RunRecord) -> Row:
    result = EvaluationResult(evaluated=(EVALUATED,), total=1)
    return row(replace(record, kind="evaluation", run_id="e", result=result))


ROWS = [row(load_version(3), run_id="a"), row(load_version(2), run_id="b", loss=None), evaluation(load_version(3))]


def test_it_answers_from_every_kind_of_column() -> None:
    names, rows = query(ROWS, "select run_id, loss, ep, created, cause, dirty from runs order by run_id")
    assert names == ("run_id", "loss", "ep", "created", "cause", "dirty")
    assert rows[0] == ("a", 8.0, 2, "2025-03-04T10:20:00Z", "nccl-timeout", False)
    assert [found[1] for found in rows] == [8.0, None, 2.5]
    nested = query(
        ROWS, "select evaluated[1].step, scores['arc acc'], predicted.step_time_s from runs where kind[1]='e'"
    )
    assert nested.rows == [(5, 0.5, None)]
    assert query(ROWS, "select count(*), avg(loss) from runs").rows == [(3, 5.25)]
    assert query([], "from runs").rows == []


def test_names_stay_apart_and_no_value_is_nan() -> None:
    found = query(
        ROWS, "select loss, loss, 'nan'::double as x, 1.5::decimal(4,2) y, date '2026-01-31' d from runs limit 1"
    )
    assert found.columns == ("loss", "loss_2", "x", "y", "d")
    assert found.rows == [(8.0, 8.0, None, 1.5, "2026-01-31")]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("insert into runs(run_id) values ('x')", r"would do more than read \(INSERT\)"),
        ("with x as (insert into runs(run_id) values ('x') returning 1) select * from x", "would write"),
        ("select 1; drop table runs", "expected one statement of SQL, found 2"),
        ("", "expected one statement of SQL, found none"),
        ("copy runs to '/tmp/never.csv'", r"\(COPY\)"),
        ("select * from read_csv('/etc/passwd')", "file system operations are disabled"),
        ("attach '/tmp/never.db'", r"\(ATTACH\)"),
        ("set memory_limit = '1TB'", r"\(SET\)"),
        ("selec", 'syntax error at or near "selec"$'),
        ("select lss from runs", 'Candidate bindings: .*"loss"'),
        ("select 'a'::int", "Could not convert string 'a'"),
    ],
)
def test_what_writes_or_fails_is_told_in_a_line(sql: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        query(ROWS, sql)
    assert "\n" not in str(raised.value)


def test_without_duckdb_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'moe-harness\[report\]'"):
        query(ROWS, "select 1")

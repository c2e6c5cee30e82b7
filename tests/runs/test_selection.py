"""Which runs a list holds."""

from dataclasses import replace
from pathlib import Path

import pytest
from stored_records import load_version

from harness.runs.columns import Row, column_types, row_of
from harness.runs.condition import parse_condition
from harness.runs.record import CampaignItem, epoch_of, utc_now
from harness.runs.selection import Selection, parse_since, sorted_by
from harness.runs.store import StoredRun

RECORD = load_version(1)


def run(name: str, **changes: object) -> Row:
    return row_of(StoredRun(folder=Path(name), record=replace(RECORD, run_id=name, **changes)))  # type: ignore[arg-type]


RUNS = (
    run("c", created="2026-03-01T00:00:00Z", status="running"),
    run("b", created="2026-02-01T00:00:00Z", status="failed", campaign=CampaignItem(campaign="s", item="EP=2")),
    run("a", created="2026-01-01T00:00:00Z"),
)


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(), "cba"),
        (Selection(statuses=("failed", "completed")), "ba"),
        (Selection(model="DeepSeek-V2-Lite"), "cba"),
        (Selection(model="DeepSeek-V2"), ""),
        (Selection(since="2026-02-01T00:00:00Z"), "cb"),
        (Selection(sweep="s"), "b"),
        (Selection(kinds=("evaluation",)), ""),
        (Selection(kinds=("training",), since="2026-02-02"), "c"),
        (Selection(last=2), "cb"),
        (Selection(statuses=("completed",), last=1), "a"),
    ],
)
def test_conditions_hold_together(selection: Selection, names: str) -> None:
    assert "".join(row["run_id"] for row in selection.of(reversed(RUNS))) == names


def test_a_run_that_may_yet_end_so_is_asked_after() -> None:
    asked = Selection(statuses=("failed",), conditions=(parse_condition("loss<1", column_types()),), sweep="s")
    assert [row["run_id"] for row in RUNS if asked.may_come_to_fit(row)] == ["b"]
    assert Selection(statuses=("failed",)).may_come_to_fit(RUNS[0])


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("step_time_s=2.045", True),
        ("step_time_s < 2.045", False),
        ("step_time_s<=2.045", True),
        ("ep>1", True),
        ("ep!=2", False),
        ("model=DeepSeek-V2*", True),
        ("model!=*Lite", False),
        ("model=deepseek*", False),
        ("grouped_gemm=yes", True),
        ("created>=2025-03", True),
        ("cause=", True),
        ("cause!=", False),
        ("mtp_layers=1", True),
        ("perplexity<1e9", False),
        ("perplexity!=3", True),
    ],
)
def test_a_condition_on_a_column(text: str, holds: bool) -> None:
    assert parse_condition(text, column_types()).holds(run("a", error=None)) is holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ep", "'ep' is no condition; write one like ep=4"),
        ("epp=4", "'epp' is no column; did you mean pp or ep or vpp"),
        ("ep=four", "'ep=four': expected a number, found 'four'"),
        ("grouped_gemm=maybe", "expected yes or no, found 'maybe'"),
        ("loss<", "compares with nothing; loss= is a missing value"),
        ("evaluated=3", "evaluated holds several values"),
    ],
)
def test_a_condition_that_is_none(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_condition(text, column_types())


def test_what_is_missing_is_sorted_last_either_way() -> None:
    rows = [{"loss": value} for value in (2.0, None, 1.0, 3.0)]
    assert [row["loss"] for row in sorted_by(rows, "loss")] == [1.0, 2.0, 3.0, None]
    assert [row["loss"] for row in sorted_by(rows, "loss", descending=True)] == [3.0, 2.0, 1.0, None]


def test_since_is_an_age_or_a_date() -> None:
    for text, ago_s in (("2d", 172_800), ("12h", 43_200), ("30m", 1800)):
        assert abs(epoch_of(utc_now()) - ago_s - epoch_of(parse_since(text))) < 60
    assert parse_since("2026-01-31") == "2026-01-31T00:00:00Z"
    assert parse_since("2026-01-31T12:00+02:00") == "2026-01-31T10:00:00Z"
    with pytest.raises(ValueError, match="'yesterday' is neither like 2d, 12h or 30m nor a date"):
        parse_since("yesterday")

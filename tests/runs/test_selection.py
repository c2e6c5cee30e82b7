"""Which runs a list holds."""

from dataclasses import replace
from pathlib import Path

import pytest
from stored_records import load_version

from harness.runs.record import CampaignItem, epoch_of, utc_now
from harness.runs.selection import Selection, parse_since
from harness.runs.store import StoredRun

RECORD = load_version(1)


def run(name: str, **changes: object) -> StoredRun:
    return StoredRun(folder=Path(name), record=replace(RECORD, run_id=name, **changes))  # type: ignore[arg-type]


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
        (Selection(last=2), "cb"),
        (Selection(statuses=("completed",), last=1), "a"),
    ],
)
def test_conditions_hold_together(selection: Selection, names: str) -> None:
    assert "".join(it.record.run_id for it in selection.of(RUNS)) == names


def test_a_run_that_may_yet_end_so_is_asked_after() -> None:
    assert [it.record.run_id for it in Selection(statuses=("failed",), last=1).before_asking(RUNS)] == ["c", "b"]


def test_since_is_an_age_or_a_date() -> None:
    for text, ago_s in (("2d", 172_800), ("12h", 43_200), ("30m", 1800)):
        assert abs(epoch_of(utc_now()) - ago_s - epoch_of(parse_since(text))) < 60
    assert parse_since("2026-01-31") == "2026-01-31T00:00:00Z"
    assert parse_since("2026-01-31T12:00+02:00") == "2026-01-31T10:00:00Z"
    with pytest.raises(ValueError, match="'yesterday' is neither like 2d, 12h or 30m nor a date"):
        parse_since("yesterday")

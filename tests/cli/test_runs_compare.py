"""`moe-harness runs compare` as a user types it, on stored runs."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cli_command import moe_harness
from run_records import measured_run, stored

from harness.runs.record import CampaignItem

RECORDS = Path(__file__).parents[1] / "fixtures/records"


def _compare(root: Path, *words: str):  # type: ignore[no-untyped-def]
    return moe_harness("runs", "compare", *words, "--output-path", str(root), here=root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    stored(tmp_path, measured_run("Alpha-1"))
    stored(tmp_path, measured_run("Alpha-2", step_s=1.05, seed=1))
    return tmp_path


def test_two_runs(root: Path) -> None:
    answer = _compare(root, "Alpha-1", "Alpha-2")
    assert answer.code == 0, answer.err
    assert "B: slower by " in answer.out
    data = json.loads(_compare(root, "Alpha-1", "Alpha-2", "--json").out)
    assert data["runs"] == ["Alpha-1", "Alpha-2"] and data["sentences"]["Alpha-2"].startswith("slower by")


def test_names_that_mean_no_run(root: Path) -> None:
    assert "Alpha-1" in _compare(root, "Alpha-1", "Alpah-2").err
    assert "2 runs in" in _compare(root, "Alpha", "Alpha-1").err
    assert "one run is no comparison" in _compare(root, "Alpha-1", "Alpha-1").err
    for words in (("Alpha-1", "Alpah-2"), ("Alpha", "Alpha-1"), ("Alpha-1",)):
        answer = _compare(root, *words)
        assert answer.code == 2 and "Traceback" not in answer.err


def test_other_kinds_are_not_mixed(root: Path) -> None:
    other = measured_run("eval-1")
    stored(root, replace(other, record=replace(other.record, kind="evaluation", result=None)))
    answer = _compare(root, "Alpha-1", "eval-1")
    assert answer.code == 2 and "eval-1 is of the kind evaluation" in answer.err
    alone = _compare(root, "eval-1", "eval-1")
    assert alone.code == 2


def test_records_of_older_versions_are_compared(tmp_path: Path) -> None:
    for version in (1, 2, 3):
        (tmp_path / f"v{version}").mkdir()
        text = (RECORDS / f"version-{version}.json").read_text()
        text = text.replace("20250304-102030-DeepSeek-V2-Lite-1a2b", f"v{version}")
        (tmp_path / f"v{version}" / "record.json").write_text(text)
    shutil.copy(RECORDS / "version-3.samples.jsonl", tmp_path / "v3" / "samples.jsonl")
    answer = _compare(tmp_path, "v1", "v2", "v3")
    assert answer.code == 0, answer.err
    assert "cannot be told" in answer.out


def test_damaged_samples_are_told_and_the_record_compared(root: Path) -> None:
    (root / "Alpha-2" / "samples.jsonl").write_text('{"iteration": 1}\n')
    answer = _compare(root, "Alpha-1", "Alpha-2")
    assert answer.code == 0 and "damaged" in answer.err and "cannot be told" in answer.out


def test_the_name_of_a_repeated_launch_is_its_repeats(tmp_path: Path) -> None:
    for group, step_s in (("first", 1.0), ("second", 1.1)):
        for at in (1, 2, 3):
            item = CampaignItem(campaign=group, item=f"REPEAT={at}", repeat=at)
            run = measured_run(f"{group}-{at}", step_s=step_s * (1 + 0.001 * at), seed=at, campaign=item)
            stored(tmp_path, run)
    answer = _compare(tmp_path, "first", "second")
    assert answer.code == 0, answer.err
    assert "t over 3 and 3 repeats" in answer.out and "B: slower by " in answer.out
    twice = _compare(tmp_path, "first", "first-2")
    assert twice.code == 2 and "first-2 is named by itself and as one of several repeats" in twice.err


def test_the_name_of_a_sweep_is_its_points(tmp_path: Path) -> None:
    for ep in (2, 4):
        for at in (1, 2):
            item = CampaignItem(campaign="sweep", item=f"EP={ep} REPEAT={at}", repeat=at)
            stored(tmp_path, measured_run(f"run-{ep}-{at}", seed=at, campaign=item, EP=ep))
    data = json.loads(_compare(tmp_path, "sweep", "--json").out)
    assert sorted(data["runs"]) == ["sweep EP=2", "sweep EP=4"]

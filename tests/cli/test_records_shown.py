"""Records that older versions wrote show as those versions showed them, samples included, and so do those of today."""

import json
import shutil
from pathlib import Path

import pytest
from cli_command import moe_harness

RECORDS = Path(__file__).parents[1] / "fixtures/records"
RUN = "20250304-102030-DeepSeek-V2-Lite-1a2b"
VERSIONS = (1, 2, 3)

LISTED = {
    "run_id": RUN,
    "status": "completed",
    "model": "DeepSeek-V2-Lite",
    "ranks": 8,
    "step_time_s": 2.045,
    "tokens_per_s_per_gpu": 16023.471882640588,
    "tflops_per_gpu": 317.8484107579462,
    "peak_memory_bytes": 45678896087,
    "loss": 8.0,
    "predicted": None,
}


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest, tmp_path: Path) -> int:
    """A version whose record lies in a run's folder under `tmp_path`."""
    (tmp_path / RUN).mkdir()
    shutil.copy(RECORDS / f"version-{request.param}.json", tmp_path / RUN / "record.json")
    if request.param == 3:
        shutil.copy(RECORDS / "version-3.samples.jsonl", tmp_path / RUN / "samples.jsonl")
    return int(request.param)


def test_runs_show_prints_the_very_text(version: int, tmp_path: Path) -> None:
    answer = moe_harness("runs", "show", RUN, "--output-path", str(tmp_path), here=tmp_path)
    assert answer.code == 0, answer.err
    assert answer.out.replace(str(tmp_path), "RUNS") == (RECORDS / f"version-{version}.show.txt").read_text()


def test_runs_show_as_json_has_the_samples_that_the_record_held(version: int, tmp_path: Path) -> None:
    answer = moe_harness("runs", "show", RUN, "--json", "--output-path", str(tmp_path), here=tmp_path)
    assert answer.code == 0, answer.err
    held = json.loads((RECORDS / f"version-{min(version, 2)}.json").read_text())["samples"]
    assert json.loads(answer.out)["samples"] == held


def test_runs_list_has_the_same_figures_and_the_same_words(version: int, tmp_path: Path) -> None:
    answer = moe_harness("runs", "list", "--json", "--output-path", str(tmp_path), here=tmp_path)
    (listed,) = json.loads(answer.out)
    assert LISTED.items() <= listed.items()
    assert listed["sweep"] == (None if version == 1 else {"sweep": "a-sweep", "point": "EP=4 MBS=2"})


def test_damaged_samples_are_no_run_without_steps(tmp_path: Path) -> None:
    (tmp_path / RUN).mkdir()
    shutil.copy(RECORDS / "version-3.json", tmp_path / RUN / "record.json")
    (tmp_path / RUN / "samples.jsonl").write_text('{"iter')
    answer = moe_harness("runs", "show", RUN, "--json", "--output-path", str(tmp_path), here=tmp_path)
    assert (answer.code, json.loads(answer.out)["samples"]) == (1, [])
    assert "these samples are damaged" in answer.err

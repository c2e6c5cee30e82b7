"""Baselines as files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from stored_records import load_version
from trained_runs import step_times, trained_run

from harness.compare.baseline import (
    Baseline,
    find_baseline,
    make_baseline,
    read_baseline,
    write_baseline,
)
from harness.compare.baseline_run import MOST_LOSSES, MOST_STEPS
from harness.errors import ConfigError
from harness.launch.rundir import RunPaths
from harness.runs.record_file import save
from harness.runs.store import load_run


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    return make_baseline([trained_run(tmp_path / "runs", name, step_times(seed)) for seed, name in enumerate("ab")])


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        read_baseline(path)
    return str(error.value)


def test_a_file_reads_back_as_written(tmp_path: Path, baseline: Baseline) -> None:
    path = tmp_path / "new" / "folder" / "it.json"
    write_baseline(baseline, path)
    assert read_baseline(path) == baseline
    text = path.read_text()
    assert len(text) < 20_000
    assert max(text.count(f'"run_id": "{name}"') for name in "ab") == 1
    assert json.loads(text)["schema_version"] == 1


def test_a_long_run_makes_a_small_file(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    long = make_baseline([trained_run(tmp_path, "long", step_times(1, 9000))])
    write_baseline(long, path)
    assert len(long.runs[0].step_s) == MOST_STEPS
    assert MOST_LOSSES / 2 <= len(long.runs[0].losses) <= MOST_LOSSES + 1
    assert "9000" in long.runs[0].losses
    assert path.stat().st_size < 30_000


def test_losses_of_runs_of_different_lengths_are_kept_at_common_steps(tmp_path: Path) -> None:
    runs = [make_baseline([trained_run(tmp_path, str(n), step_times(1, n))]).runs[0] for n in (400, 3000)]
    assert len(runs[0].losses.keys() & runs[1].losses.keys()) >= 50


def test_an_existing_file_is_kept(tmp_path: Path, baseline: Baseline) -> None:
    path = tmp_path / "it.json"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="this file exists; name another, or replace it by --overwrite"):
        write_baseline(baseline, path)
    with pytest.raises(ConfigError, match="this is a folder"):
        write_baseline(baseline, tmp_path, overwrite=True)
    assert path.read_text() == "mine"
    write_baseline(baseline, path, overwrite=True)
    assert read_baseline(path) == baseline


def test_a_name_is_looked_up_in_the_folder_here(
    tmp_path: Path, baseline: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"--baseline mixtral: no such file.*there are none in"):
        find_baseline("mixtral")
    write_baseline(baseline, tmp_path / "baselines" / "mixtral.json")
    assert find_baseline("mixtral") == Path("baselines/mixtral.json")
    assert find_baseline(str(tmp_path / "baselines/mixtral.json")) == tmp_path / "baselines/mixtral.json"
    with pytest.raises(ConfigError, match=r"did you mean mixtral\?"):
        find_baseline("mixtrall")


def test_files_that_are_no_baselines_are_refused(tmp_path: Path, baseline: Baseline) -> None:
    path = tmp_path / "it.json"
    path.write_text("[1]")
    assert "this is no baseline; make one: moe-harness runs baseline RUN… -o FILE" in refused(path)
    path.write_text("{")
    assert "this baseline is damaged: not JSON" in refused(path)
    path.write_bytes(b"\xff\xfe\x00")
    assert "this baseline is damaged: not JSON" in refused(path)
    assert "cannot read this baseline: Is a directory" in refused(tmp_path)


def test_a_newer_or_damaged_baseline_is_refused(tmp_path: Path, baseline: Baseline) -> None:
    path = tmp_path / "it.json"
    write_baseline(baseline, path)
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"schema_version": 99}))
    assert "schema_version 99 is newer than this moe-harness, which reads up to 1" in refused(path)
    path.write_text(json.dumps(document | {"schema_version": "1"}))
    assert "this baseline is damaged: schema_version: expected a whole number" in refused(path)
    path.write_text(json.dumps(document | {"runs": []}))
    assert "this baseline is damaged: a run without step times, or no run at all" in refused(path)


def test_no_baseline_is_made_of_runs_that_are_no_good_and_all_are_named(tmp_path: Path) -> None:
    good = trained_run(tmp_path, "good", step_times(1))
    failed = trained_run(tmp_path, "bad", step_times(1), status="failed")
    short = trained_run(tmp_path, "short", step_times(1, 2))
    going = replace(good, record=replace(good.record, status="running", run_id="going"))
    with pytest.raises(ConfigError) as error:
        make_baseline([good, failed, short, going])
    assert error.value.problems == (
        "bad: this run failed; a baseline takes completed runs",
        "going: this run is still going (running); wait for its end: moe-harness runs watch going",
        "short: no step of this run counts for speed, for all are warm-up",
    )


def test_no_baseline_is_made_of_unlike_runs(tmp_path: Path) -> None:
    runs = [
        trained_run(tmp_path, "a", step_times(1)),
        trained_run(tmp_path, "b", step_times(2), seq_length="256", lr="2e-3"),
    ]
    with pytest.raises(ConfigError) as error:
        make_baseline(runs)
    assert error.value.problems == (
        "b is unlike a: sequence length: 256, not 128",
        "b is unlike a: --lr: 2e-3, not 1e-3",
    )


def test_a_run_of_another_kind_has_no_step_times(tmp_path: Path) -> None:
    record = replace(load_version(3), kind="conversion", result=None, run_id="conv")
    (tmp_path / "conv").mkdir()
    save(record, RunPaths(tmp_path / "conv").record, {})
    with pytest.raises(ConfigError, match="conv: this is a run of kind conversion; only training runs have step times"):
        make_baseline([load_run(tmp_path / "conv")])


def test_damaged_samples_are_told(tmp_path: Path) -> None:
    run = trained_run(tmp_path, "torn", step_times(1))
    run.paths.samples.write_text('{"iteration": "one"}\n')
    with pytest.raises(ConfigError, match="these samples are damaged"):
        make_baseline([run])

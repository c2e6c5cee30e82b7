"""Samples lie beside the record: whole, portable, without secrets, and no obstacle to the record."""

import json
import math
import resource
from dataclasses import replace
from pathlib import Path

import pytest
from stored_records import RECORDS, load_version

from harness.errors import EnvironmentProblem
from harness.launch.rundir import RunPaths
from harness.runs.json_codec import decode
from harness.runs.record_file import save
from harness.runs.samples_file import UnreadableSamples, load_samples, save_samples
from harness.runs.store import list_runs
from harness.training.log.samples import StepSample
from harness.training.summary import nan_steps

RECORD = load_version(3)
SAMPLES = tuple(StepSample(iteration=step, train_iters=40, step_s=0.5, loss=9.0 - step) for step in range(1, 41))


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    """A run's folder with its record."""
    found = RunPaths(tmp_path / RECORD.run_id)
    found.root.mkdir()
    save(RECORD, found.record, {})
    return found


def test_what_is_written_is_read_back_a_line_a_step(paths: RunPaths) -> None:
    save_samples(SAMPLES, RECORD, paths)
    assert decode(tuple[StepSample, ...], load_samples(paths)) == SAMPLES
    assert [json.loads(line)["iteration"] for line in paths.samples.read_text().splitlines()] == list(range(1, 41))


def test_nan_and_infinity_are_written_as_portable_json(paths: RunPaths) -> None:
    broken = replace(SAMPLES[0], loss=math.nan, grad_norm=-math.inf, other={"z_loss": math.inf})
    save_samples([broken], RECORD, paths)
    json.loads(paths.samples.read_text(), parse_constant=lambda name: pytest.fail(name))
    (after,) = decode(tuple[StepSample, ...], load_samples(paths))
    assert after.loss is not None and math.isnan(after.loss)
    assert (after.grad_norm, after.other, nan_steps(after)) == (-math.inf, {"z_loss": math.inf}, 1)


def test_no_secret_is_written(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "s3cr3t-t0ken")
    record = replace(RECORD, resolved=replace(RECORD.resolved, env={"WANDB_API_KEY": "hunter22"}))
    save_samples([replace(SAMPLES[0], printed_at="hunter22 s3cr3t-t0ken")], record, paths)
    assert load_samples(paths)[0]["printed_at"] == "*** ***"


def test_a_run_without_samples_has_none(paths: RunPaths) -> None:
    assert load_samples(paths) == []
    assert load_samples(RunPaths(paths.root / "none")) == []


@pytest.mark.parametrize("version", [1, 2])
def test_the_samples_of_an_older_record_stand_in_the_record(paths: RunPaths, version: int) -> None:
    paths.record.write_text((RECORDS / f"version-{version}.json").read_text())
    assert [sample["iteration"] for sample in load_samples(paths)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_record_that_is_written_anew_loses_no_samples(paths: RunPaths, version: int) -> None:
    paths.record.write_text((RECORDS / f"version-{version}.json").read_text())
    before = load_samples(paths)
    save_samples(None, RECORD, paths)
    save(RECORD, paths.record, {})
    assert load_samples(paths) == before
    save_samples(None, RECORD, paths)
    assert load_samples(paths) == before


def test_where_there_are_none_no_file_is_made(paths: RunPaths) -> None:
    save_samples((), RECORD, paths)
    save_samples(None, RECORD, paths)
    assert not paths.samples.exists()


def test_a_line_ends_where_json_says_so(paths: RunPaths) -> None:
    odd = replace(SAMPLES[0], other={"odd\u2028name\x85\u2029": 3.0})
    save_samples([odd, *SAMPLES[1:3]], RECORD, paths)
    assert decode(tuple[StepSample, ...], load_samples(paths)) == (odd, *SAMPLES[1:3])


def test_damage_is_told_and_hides_no_run(paths: RunPaths) -> None:
    paths.samples.write_text('{"iteration": 1}\n{"iter')
    with pytest.raises(UnreadableSamples, match=r"samples\.jsonl: these samples are damaged: not JSON lines"):
        load_samples(paths)
    found = list_runs(paths.root.parent)
    assert [run.record for run in found.runs] == [RECORD] and found.warnings == ()


def test_a_write_that_fails_leaves_the_old_samples(paths: RunPaths) -> None:
    """The system itself refuses to write more than 4 KiB."""
    save_samples(SAMPLES[:1], RECORD, paths)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(EnvironmentProblem, match="cannot write the run's samples: File too large; make"):
            save_samples(SAMPLES, RECORD, paths)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(load_samples(paths)) == 1

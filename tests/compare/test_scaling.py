"""Strong and weak scaling."""

from dataclasses import replace
from pathlib import Path

import pytest
from trained_runs import step_times, trained_run

from harness.compare.scaling import scaling_of
from harness.errors import ConfigError
from harness.report.text.scaling_table import scaling_data, show_scaling
from harness.runs.record import RunRecord


def record(
    root: Path, run_id: str, gpus: int, batch: int, step_s: float, predicted_s: float | None = None, **flags: str
) -> RunRecord:
    times = [step_s] * 20
    predicted = {"step_time_s": predicted_s} if predicted_s else None
    return trained_run(
        root, run_id, times, gpus=gpus, predicted=predicted, global_batch_size=str(batch), **flags
    ).record


def test_strong_scaling_is_told_by_the_global_batch(tmp_path: Path) -> None:
    found = scaling_of(
        [
            record(tmp_path, "c", 32, 64, 0.4, 0.3),
            record(tmp_path, "a", 8, 64, 1.0, 1.0),
            record(tmp_path, "b", 16, 64, 0.6, 0.5),
        ]
    )
    (series,) = found.series
    assert (series.kind, series.batch) == ("strong", 64)
    assert [(it.point.gpus, it.speedup, it.efficiency, it.predicted_efficiency) for it in series.points] == [
        (8, pytest.approx(1.0), pytest.approx(1.0), pytest.approx(1.0)),
        (16, pytest.approx(1 / 0.6), pytest.approx(1 / 1.2), pytest.approx(1.0)),
        (32, pytest.approx(2.5), pytest.approx(2.5 / 4), pytest.approx(1 / (0.3 * 4))),
    ]
    text = show_scaling(found)
    assert "strong scaling, one global batch of 64" in text
    assert "predicted efficiency" in text and "62.5%" in text and "83.3%" in text


def test_weak_scaling_is_told_by_the_global_batch_a_gpu(tmp_path: Path) -> None:
    found = scaling_of([record(tmp_path, "a", 8, 64, 1.0), record(tmp_path, "b", 16, 128, 1.25)])
    (series,) = found.series
    assert (series.kind, series.batch) == ("weak", 8)
    assert [it.efficiency for it in series.points] == [pytest.approx(1.0), pytest.approx(0.8)]
    assert "predicted" not in show_scaling(found)
    assert scaling_data(found)["series"][0]["points"][1]["predicted_efficiency"] is None


def test_runs_may_make_several_series_and_what_is_in_none_is_told(tmp_path: Path) -> None:
    found = scaling_of(
        [
            record(tmp_path, "a", 8, 64, 1.0),
            record(tmp_path, "b", 16, 64, 0.6),
            record(tmp_path, "c", 16, 128, 1.1),
            record(tmp_path, "d", 24, 100, 1.1),
            record(tmp_path, "e", 16, 128, 1.4, micro_batch_size="1"),
        ]
    )
    assert [(it.kind, len(it.points)) for it in found.series] == [("strong", 2), ("weak", 2)]
    assert found.left_out == (
        "d: no other size has its global batch, or its global batch a GPU",
        "e: another mapping of as many GPUs with this global batch is faster",
    )


def test_runs_of_one_job_are_one_point_by_their_median(tmp_path: Path) -> None:
    small = [record(tmp_path, f"a{at}", 8, 64, step_s) for at, step_s in enumerate((1.0, 1.1, 5.0))]
    (series,) = scaling_of([*small, record(tmp_path, "b", 16, 64, 0.6)]).series
    assert series.points[0].point.step_s == pytest.approx(1.1)
    assert series.points[0].point.run_ids == ("a0", "a1", "a2")


def test_runs_unlike_in_more_than_gpus_and_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        scaling_of(
            [
                record(tmp_path, "a", 8, 64, 1.0),
                record(tmp_path, "b", 16, 64, 1.0, hidden_size="256", seq_length="64"),
            ]
        )
    assert error.value.problems == (
        "b is unlike a: sequence length: 64, not 128",
        "b is unlike a: --hidden-size: 256, not 128",
    )


def test_one_size_alone_is_no_scaling(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="these runs make no scaling: 8 GPUs with a global batch of 64; name runs on"):
        scaling_of([record(tmp_path, "a", 8, 64, 1.0), record(tmp_path, "b", 8, 64, 1.2)])


def test_runs_that_measured_nothing_are_all_named(tmp_path: Path) -> None:
    good = record(tmp_path, "a", 8, 64, 1.0)
    short = trained_run(tmp_path, "short", step_times(1, 2), gpus=16).record
    failed = replace(record(tmp_path, "b", 16, 64, 1.0), status="failed")
    with pytest.raises(ConfigError) as error:
        scaling_of([good, short, failed, replace(good, status="running", run_id="going")])
    assert error.value.problems == (
        "short: no step of this run counts for speed; train more steps",
        "b: this run failed",
        "going: this run is still going (running); wait for its end: moe-harness runs watch going",
    )

"""The public scoreboard: what ships meets the aims, and what is left out says why."""

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from cli_command import moe_harness

from harness.cost.constants import FITTED
from harness.cost.step_time import step_time
from harness.errors import ConfigError
from harness.plan.cross_validation import fitted, left_out_errors
from harness.plan.fit import Measured, fit
from harness.plan.published.predictable import PredictableRow
from harness.plan.published.rows import COLUMNS, SHIPPED, read_rows
from harness.plan.score import AIM_MEDIAN, AIM_MEMORY, AIM_P90, accuracy, measured_rows, score


@pytest.fixture(scope="module")
def scored():  # type: ignore[no-untyped-def]
    return score(read_rows())


def test_the_aims_are_met(scored) -> None:  # type: ignore[no-untyped-def]
    speed = accuracy([row.tflops_error for row in scored if row.tflops_error is not None])
    memory = accuracy([row.memory_error for row in scored if row.memory_error is not None])
    assert speed.rows > 150
    assert speed.median <= AIM_MEDIAN
    assert speed.p90 <= AIM_P90
    assert memory.rows >= 16
    assert memory.median <= AIM_MEMORY


def test_every_row_has_figures_or_a_reason(scored) -> None:  # type: ignore[no-untyped-def]
    assert len(scored) == len(read_rows())
    for row in scored:
        figures = (row.predicted_tflops, row.predicted_mem_gb)
        assert all(map(math.isfinite, figures)) if row.left_out is None else row.left_out


def test_p90_is_the_tenth_worst_of_a_hundred() -> None:
    found = accuracy([size / 100 for size in range(1, 101)])
    assert (found.median, found.p90, found.bias) == (0.505, 0.9, 0.505)


def test_constants_come_back_from_what_they_predict() -> None:
    """The fit finds constants that made the data, as far as the priors let it."""
    truth = FITTED.with_values({"hbm": 0.5})
    chosen = measured_rows(read_rows())[::6]
    made = [Measured(job=it.job, gpu=it.gpu, step_s=step_time(it.job, it.gpu, truth).total_s) for it in chosen]
    assert fit(made, FITTED, ["hbm"]).hbm == pytest.approx(0.5, rel=0.02)


@pytest.mark.slow
def test_what_ships_is_what_the_fit_finds_and_holds_for_models_left_out() -> None:
    usable = measured_rows(read_rows())
    found = fitted(usable)
    for name in ("gemm_bf16", "hbm", "attention_forward", "nic"):
        assert getattr(found, name) == pytest.approx(getattr(FITTED, name), rel=0.05)
    errors = [error for own in left_out_errors(usable[::2]).values() for error in own]
    assert accuracy(errors).median < 0.1
    assert accuracy(errors).median < 0.5 * accuracy(list(_by_median_of_other_models(usable))).median


def _by_median_of_other_models(usable: Sequence[PredictableRow]) -> Iterator[float]:
    """The errors of a rule of thumb: as fast as other models are on this GPU in the median."""
    for case in usable:
        others = [it.measured_tflops for it in usable if it.row.gpu == case.row.gpu and it.row.model != case.row.model]
        known = [tflops for tflops in others if tflops is not None]
        if known and case.measured_tflops is not None:
            yield median(known) / case.measured_tflops - 1


def test_another_file_is_scored_as_json(tmp_path: Path) -> None:
    lines = SHIPPED.read_text().splitlines()
    chosen = tmp_path / "mine.csv"
    chosen.write_text("\n".join([lines[0], lines[13], lines[109]]) + "\n")
    rows = json.loads(moe_harness("plan", "score", "--published", str(chosen), "--json", here=tmp_path).out)
    assert [row["line"] for row in rows] == [2, 3]
    assert rows[0]["predicted_tflops"] == pytest.approx(rows[0]["measured_tflops"], rel=0.3)
    assert rows[0]["left_out"] is None
    assert rows[1]["predicted_tflops"] is None
    assert "256 GPUs cannot hold" in rows[1]["left_out"]


GOOD = next(row for row in csv.DictReader(SHIPPED.read_text().splitlines()) if row["model"] == "Mixtral-8x22B")


def _scored_as_json(folder: Path, *rows: Mapping[str, str], columns: Sequence[str] = COLUMNS) -> list[dict[str, Any]]:
    """`plan score --json` of a file of these rows, in this order of columns."""
    path = folder / "some.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)
    answer = moe_harness("plan", "score", "--published", str(path), "--json", here=folder)
    assert answer.code == 0, answer.err
    found = json.loads(answer.out, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
    assert len(found) == len(rows)
    return found  # type: ignore[no-any-return]  # what JSON says


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"tp": "2.5"}, "tp='2.5'; allowed: a whole number from 1 to 100000000, or nothing"),
        ({"tp": "0", "mem_gb": "NaN"}, "tp='0'; allowed: a whole number from 1 to 100000000, or nothing; mem_gb='NaN'"),
        ({"tflops_per_gpu": "1e-320"}, "allowed: a number from 1e-06 to 1e+12, or nothing"),
        ({"mem_gb": "1e300"}, "mem_gb='1e300'; allowed: a number"),
        ({"gbs": "100000000000000000"}, "gbs='100000000000000000'; allowed: a whole number"),
        ({"gbs": ""}, "not stated: gbs"),
        ({"model": ""}, "not stated: model"),
        ({"gpu": "H1000"}, "GPU H1000: not known; did you mean H100"),
        ({"other_flags": "{mtp-num-layers: x}"}, "--mtp-num-layers x is no whole number"),
        ({"other_flags": "{num-layers: NaN}"}, "--num-layers NaN is no whole number"),
    ],
)
def test_a_row_that_cannot_be_read_says_why_and_keeps_no_other_back(
    cells: Mapping[str, str], said: str, tmp_path: Path
) -> None:
    first, second = _scored_as_json(tmp_path, {**GOOD, **cells}, GOOD)
    assert said in first["left_out"]
    assert first["predicted_tflops"] is None
    assert second["left_out"] is None


def test_a_table_may_be_written_otherwise(tmp_path: Path) -> None:
    (plain,) = _scored_as_json(tmp_path, GOOD)
    floats = {name: f"{cell}.0" for name, cell in GOOD.items() if name in ("n_gpus", "tp", "pp", "seq_len", "gbs")}
    unseen = {**GOOD, **floats, "notes": f"{GOOD['notes']}\nof two lines", "mine": "x"}
    (other,) = _scored_as_json(tmp_path, unseen, columns=("mine", *reversed(COLUMNS)))
    assert other["predicted_tflops"] == plain["predicted_tflops"]


def test_every_shipped_row_can_be_read() -> None:
    assert [row for row in read_rows() if row.problems] == []


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("model,gpu\nMixtral-8x7B,H100\n")
    with pytest.raises(ConfigError, match=r"wrong\.csv"):
        read_rows(wrong)
    wrong.write_text(f"{','.join(COLUMNS)},tp\n")
    with pytest.raises(ConfigError, match="more than one column tp"):
        read_rows(wrong)

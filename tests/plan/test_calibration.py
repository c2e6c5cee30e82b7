"""Constants of one machine, from runs that were measured on it, and the file that keeps them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cli_command import moe_harness

from harness.config.request import Request
from harness.config.roots import Roots
from harness.config.sources import resolve_request
from harness.cost.constants import FITTED
from harness.cost.hardware import CPU_RANK, find_gpu
from harness.cost.step_time import step_time
from harness.cost.training import Training
from harness.cost.training_flags import training
from harness.errors import ConfigError
from harness.plan.calibration import NAME, Calibration, load_calibrations, save_calibration
from harness.plan.fit import Measured, calibrate

RECORD = Path(__file__).parents[1] / "fixtures/records/version-1.json"


def laptop_job(*words: str) -> Training:
    resolved = resolve_request(Request(arguments=words), Roots.standard())
    return training(resolved.megatron_args, 2)


def test_a_cpu_is_found_again_from_its_runs() -> None:
    """A machine far from every prior: element-wise work 20 times slower, launches 5 times, products twice."""
    slower = {"hbm": FITTED.hbm / 20, "host_layer_s": FITTED.host_layer_s * 5, "gemm_bf16": FITTED.gemm_bf16 / 2}
    truth = FITTED.with_values(slower)
    jobs = [laptop_job(f"MODEL={model}") for model in ("DeepSeek-V2-Lite", "Mixtral-8x7B", "Qwen2-57B-A14B")]
    seconds = [step_time(job, CPU_RANK, truth).total_s for job in jobs]
    measured = [Measured(job=job, gpu=CPU_RANK, step_s=it) for job, it in zip(jobs, seconds, strict=True)]
    found = calibrate(measured, ["a", "b", "c"])
    assert found.machine == "CPU"
    assert found.runs == ("a", "b", "c")
    for job, it in zip(jobs, seconds, strict=True):
        assert step_time(job, CPU_RANK).total_s < 0.7 * it
        assert step_time(job, CPU_RANK, found.applied()).total_s == pytest.approx(it, rel=0.05)


def test_a_machine_uses_its_own_constants() -> None:
    job = laptop_job("MODEL=DeepSeek-V2-Lite")
    slow = replace(CPU_RANK, constants=FITTED.with_values({"hbm": 0.01}))
    assert step_time(job, slow).total_s > step_time(job, CPU_RANK).total_s


def test_what_is_kept_is_found_beside_other_machines(tmp_path: Path) -> None:
    cpu = Calibration(machine="CPU", constants={"hbm": 0.1}, runs=("a",))
    gpu = Calibration(machine="H100", constants={"nic": 0.9}, runs=("b", "c"))
    save_calibration(tmp_path, cpu)
    path = save_calibration(tmp_path, gpu)
    assert load_calibrations(tmp_path) == {"CPU": cpu, "H100": gpu}
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_no_file_is_no_calibration(tmp_path: Path) -> None:
    assert load_calibrations(tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"schema_version": 2, "machines": {}}',
        '{"schema_version": 1, "machines": {"CPU": {"constants": {"hbm": -1}, "runs": []}}}',
        '{"schema_version": 1, "machines": {"CPU": {"constants": {"hbm": NaN}, "runs": []}}}',
        '{"schema_version": 1, "machines": {"CPU": {}}}',
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(ConfigError, match=r"calibration\.json: no calibration that can be read"):
        load_calibrations(tmp_path)


def stored_run(root: Path, run_id: str, **changes: object) -> None:
    folder = root / run_id
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps({**json.loads(RECORD.read_text()), "run_id": run_id, **changes}))


def test_a_run_without_a_step_time(tmp_path: Path) -> None:
    stored_run(tmp_path / "runs", "lost", summary=None, status="failed")
    answer = moe_harness("plan", "calibrate", "lost", here=tmp_path)
    assert answer.code == 2
    assert answer.errors == ["run lost (failed) has no step time"]


def test_a_run_of_no_known_release(tmp_path: Path) -> None:
    """An older version kept no release in its record."""
    resolved = json.loads(RECORD.read_text())["resolved"]
    settings = {**resolved["settings"], "MCORE_RELEASE_VERSION": None}
    stored_run(tmp_path / "runs", "old", resolved={**resolved, "settings": settings})
    answer = moe_harness("plan", "calibrate", "old", here=tmp_path)
    assert answer.code == 2
    assert "MCORE_RELEASE_VERSION: '' is no release such as 0.19" in answer.errors[0], answer.err


def test_an_unknown_run(tmp_path: Path) -> None:
    stored_run(tmp_path / "runs", "there")
    answer = moe_harness("plan", "calibrate", "their", here=tmp_path)
    assert answer.code == 2
    assert "no such run in runs" in answer.err


def test_gpus_of_the_table_are_predicted_by_published_constants() -> None:
    gpu = find_gpu("H100")
    assert gpu is not None
    assert gpu.constants is FITTED

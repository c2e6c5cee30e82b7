"""The main job for real: Megatron-Core trains on CPU ranks, is measured, and leaves a true record."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cli_command import CODE, moe_harness

from harness.config.roots import Roots
from harness.launch.rundir import RunPaths
from harness.runs.samples_file import load_samples

# Of the four that came last these are the cheapest proof: Qwen3's normed heads, and Moonlight's queries without a rank.
TRAINED = [name for name in Roots.standard().names("model") if name not in ("Qwen3-235B-A22B", "Kimi-K2")]


def the_record(here: Path) -> dict[str, Any]:
    (path,) = here.glob("runs/*/record.json")
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def the_samples(here: Path) -> list[Any]:
    (path,) = here.glob("runs/*/record.json")
    return load_samples(RunPaths(path.parent))


@pytest.mark.slow
@pytest.mark.parametrize("model", TRAINED)
def test_each_model_trains_and_its_loss_falls(model: str, tmp_path: Path) -> None:
    answer = moe_harness("launch", f"MODEL={model}", "TRAIN_ITERS=8", here=tmp_path)
    assert answer.code == 0, answer.err
    record = the_record(tmp_path)
    result = record["result"]
    summary = result["summary"]
    assert (record["kind"], record["status"]) == ("training", "completed")
    assert result["differences"] == []
    assert len(the_samples(tmp_path)) == 8
    assert summary["loss_last"] < summary["loss_first"] - 1
    assert summary["skipped"] == summary["nan"] == 0
    # Our count of the step's FLOPs is Megatron's own, which the engine states in the log.
    assert summary["flops_per_step"] == result["in_effect"]["flops_per_step"]
    assert record["versions"]["megatron_core"].startswith("0.19")
    assert f"record: {tmp_path}/runs/{record['run_id']}/record.json" in answer.out
    listed = moe_harness("runs", "list", here=tmp_path)
    assert record["run_id"] in listed.out
    shown = moe_harness("runs", "show", record["run_id"][:-2], here=tmp_path)
    assert "step time" in shown.out


@pytest.mark.slow
def test_mock_data_and_wandb_offline_for_real(tmp_path: Path) -> None:
    words = ("MODEL=Mixtral-8x2B", "DATASET=mock", "TRAIN_ITERS=3", "WANDB_MODE=offline", "COMMENT=a test")
    answer = moe_harness("launch", *words, here=tmp_path)
    assert answer.code == 0, answer.err
    assert "notice: WandB: offline, as WANDB_MODE=offline asks" in answer.err
    (run,) = tmp_path.glob("runs/*/wandb/wandb/offline-run-*/*.wandb")
    content = run.read_bytes()
    assert b"Mixtral-8x2B-TP1PP1EP2CP1VPP1-MBS4GBS16-a test" in content
    assert b"lm loss" in content


@pytest.mark.slow
def test_repeats_run_and_are_compared_as_one(tmp_path: Path) -> None:
    words = ("launch", "MODEL=Mixtral-8x2B", "DATASET=mock", "GPUS_PER_NODE=1", "EP=1", "TRAIN_ITERS=6")
    answers = [moe_harness(*words, "REPEATS=2", here=tmp_path) for _ in range(2)]
    for answer in answers:
        assert answer.code == 0, answer.err
        assert "2 of 2" in answer.out and "geometric mean [95 %]" in answer.out
    names = [answer.out.splitlines()[-1].split()[1].rstrip(";") for answer in answers]
    compared = moe_harness("runs", "compare", *names, here=tmp_path)
    assert compared.code == 0, compared.err
    assert "the same configuration" in compared.out and "t over 2 and 2 repeats" in compared.out


@pytest.mark.slow
def test_ctrl_c_ends_all_ranks_and_leaves_a_cancelled_record(tmp_path: Path) -> None:
    words = ("launch", "MODEL=Mixtral-8x2B", "TRAIN_ITERS=10000")
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *words], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step 2/"):
            break
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cancelled" in out
    record = the_record(tmp_path)
    assert record["status"] == "cancelled"
    assert len(the_samples(tmp_path)) >= 2
    assert not _processes_of(tmp_path)


@pytest.mark.slow
def test_a_rank_that_dies_ends_the_run_with_its_own_traceback(tmp_path: Path) -> None:
    prepared = moe_harness("data", "prepare", __file__, "--output", "broken", here=tmp_path)
    assert prepared.code == 0
    (tmp_path / "broken_text_document.idx").write_bytes(b"MMIDIDX\x00\x00")
    words = ("MODEL=Mixtral-8x2B", "DATA_PATH=broken_text_document", "TRAIN_ITERS=3")
    answer = moe_harness("launch", *words, here=tmp_path)
    assert answer.code == 1
    last = answer.err.rstrip().splitlines()[-1]
    assert last.startswith(("struct.error: ", "AssertionError: ", "ValueError: ")), answer.err[-2000:]
    assert "ChildFailedError" not in answer.err
    record = the_record(tmp_path)
    assert record["status"] == "failed"
    assert record["error"]["traceback"].splitlines()[-1] == last
    assert record["error"]["rank"] in (0, 1)
    assert record["error"]["exit_codes"] == {str(record["error"]["rank"]): 1}
    assert record["error"]["cause"]["name"] in ("unknown", "python-error")
    assert f"cause                             {record['error']['cause']['name']}: " in answer.out


def test_a_secret_is_in_no_file_and_no_output(tmp_path: Path) -> None:
    secret = "0123456789abcdef0123456789abcdef01234567"
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text("#!/bin/bash\necho 4711\n")
    sbatch.chmod(0o755)
    environ = {"PATH": f"{sbatch.parent}:{os.environ['PATH']}", "WANDB_API_KEY": secret}
    answer = moe_harness("launch", "--on", "slurm", "MODEL=DeepSeek-V3", here=tmp_path, environ=environ)
    assert answer.code == 0, answer.err
    assert "WandB: online" in answer.err
    written = [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(secret in text for text in (*written, answer.out, answer.err))


def _processes_of(folder: Path, wait_s: float = 5) -> list[str]:
    """Processes that still have the run's folder in their environment."""
    deadline = time.monotonic() + wait_s
    while True:
        alive = [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if _mentions(path, str(folder))]
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(0.2)


def _mentions(environ: Path, text: str) -> bool:
    try:
        return f"RUN_DIR={text}" in environ.read_text(errors="replace")
    except OSError:
        return False

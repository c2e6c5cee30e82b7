"""A conversion on this node is a run: with a folder, a record, a place in the list, and a cause where it is killed."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_command import moe_harness, start_moe_harness
from safetensors.torch import load_file, save_file
from tiny_models import make_tiny

SLOW_DISK = {"PYTHONPATH": str(Path(__file__).parents[1] / "slow_disk"), "SLOW_WRITES_S": "0.2"}

type Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tiny model."""
    return make_tiny("Mixtral", tmp_path / "hf", dtype="bf16")


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("runs/*/record.json"))]


def runs(*words: str, here: Path) -> str:
    return moe_harness("runs", *words, here=here).out


@pytest.fixture
def slow(source: Path, tmp_path: Path) -> subprocess.Popen[str]:
    """A conversion under way, which takes its time."""
    process = start_moe_harness("convert", "hf", "target", "--threads", "1", here=tmp_path, environ=SLOW_DISK)
    deadline = time.monotonic() + 60
    while not any(record["status"] == "running" for record in records(tmp_path)):
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.05)
    return process


def test_it_is_listed_and_shown(source: Path, tmp_path: Path) -> None:
    done = moe_harness("convert", "hf", "target", here=tmp_path)
    assert done.code == 0 and done.out.startswith("target: done"), done.err
    (record,) = records(tmp_path)
    result = record["result"]
    assert (record["kind"], record["status"], record["job"]["on"]) == ("conversion", "completed", "local")
    assert result["target"] == str(tmp_path / "target") and result["facts"]["source"] == str(source)
    assert result["done_bytes"] == result["total_bytes"] > 0 and result["elapsed_s"] > 0
    listed = runs("list", here=tmp_path).splitlines()[-1].split()
    assert listed[:3] == [record["run_id"], "completed", "Mixtral"]
    shown = runs("show", record["run_id"], here=tmp_path)
    assert f"{source} (hugging-face)" in shown and f"{tmp_path}/target (torch_dist, BF16)" in shown
    (data,) = json.loads(runs("list", "--json", here=tmp_path))
    assert (data["kind"], data["target"]) == ("conversion", str(tmp_path / "target"))
    assert runs("watch", here=tmp_path).startswith("no run in")


def test_its_script_does_the_same_again(source: Path, tmp_path: Path) -> None:
    assert moe_harness("convert", "hf", "target", here=tmp_path).code == 0
    (script,) = tmp_path.glob("runs/*/script.sh")
    (tmp_path / "target").rename(tmp_path / "first")
    subprocess.run(["bash", script], env={**os.environ, "RUN_DIR": str(script.parent)}, check=True, capture_output=True)
    assert moe_harness("convert", "verify", "first", "target", here=tmp_path).code == 0
    assert len(records(tmp_path)) == 1


def test_it_is_followed_and_cancelled(slow: subprocess.Popen[str], tmp_path: Path) -> None:
    (record,) = records(tmp_path)
    watcher = start_moe_harness("runs", "watch", "--every", "0.2", here=tmp_path)
    time.sleep(1.0)
    cancelled = moe_harness("runs", "cancel", record["run_id"], here=tmp_path)
    assert cancelled.code == 0, cancelled.err
    out, told = watcher.communicate(timeout=60)
    assert watcher.returncode == 1 and "cancelled" in out, told
    assert slow.wait(timeout=60) == 130
    (ended,) = records(tmp_path)
    assert (ended["status"], ended["error"]["exit_code"]) == ("cancelled", 130)
    resumed = moe_harness("convert", "hf", "target", "--resume", here=tmp_path)
    assert resumed.code == 0, resumed.err


def test_a_killed_one_tells_why(slow: subprocess.Popen[str], tmp_path: Path) -> None:
    slow.send_signal(signal.SIGKILL)
    slow.wait()
    shown = runs("show", records(tmp_path)[0]["run_id"], here=tmp_path)
    assert "supervisor-gone: moe-harness was killed on" in shown
    (record,) = records(tmp_path)
    assert (record["status"], record["error"]["cause"]["name"]) == ("failed", "supervisor-gone")


def test_one_that_fails_halfway_keeps_its_record_and_cause(tmp_path: Path) -> None:
    folder = make_tiny("Mixtral", tmp_path / "hf")
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        save_file({name: values * 1e8 for name, values in tensors.items()}, path, metadata={"format": "pt"})
    failed = moe_harness("convert", "hf", "target", "--dtype", "fp16", here=tmp_path)
    assert failed.code == 2 and "is beyond fp16" in failed.errors[0], failed.err
    (record,) = records(tmp_path)
    assert (record["status"], record["error"]["exit_code"]) == ("failed", 2)
    assert "is beyond fp16" in runs("show", record["run_id"], here=tmp_path)


def test_what_cannot_begin_leaves_no_run(source: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target/file").touch()
    refused = moe_harness("convert", "hf", "target", here=tmp_path)
    assert refused.code == 2 and "target exists already" in refused.errors[0]
    assert records(tmp_path) == [] and list(tmp_path.glob("runs/convert*")) == []


@pytest.mark.parametrize("target", ["runs", "."])
def test_a_target_that_can_be_no_new_folder_leaves_nothing(source: Path, tmp_path: Path, target: str) -> None:
    refused = moe_harness("convert", "hf", target, here=tmp_path)
    expected = {"runs": "runs: runs are kept there; choose another target", ".": ".: name a new folder to write to"}
    assert refused.code == 2 and expected[target] in refused.errors[0], refused.err
    assert not (tmp_path / "runs").exists() and "run:" not in refused.err


def test_a_job_is_refused_the_folder_of_its_runs_before_it_is_queued(source: Path, tmp_path: Path) -> None:
    environ = {"ACCOUNT": "a", "PARTITION": "p"}
    refused = moe_harness("convert", "--on", "slurm", "--dry-run", "hf", "runs", here=tmp_path, environ=environ)
    assert (refused.code, refused.out) == (2, "") and "runs: runs are kept there" in refused.errors[0], refused.err


def test_settings_of_a_launch_are_none_of_its_concern(source: Path, tmp_path: Path) -> None:
    environ = {"TP": "x", "RUN_TIME": "never", "MODEL": "DeepSeek-V3"}
    done = moe_harness("convert", "hf", "target", here=tmp_path, environ=environ)
    assert done.code == 0, done.err
    (listed,) = json.loads(runs("list", "--model", "Mixtral", "--json", here=tmp_path))
    assert listed["model"] == "Mixtral"
    assert runs("list", here=tmp_path).splitlines()[-1].split()[2] == "Mixtral"

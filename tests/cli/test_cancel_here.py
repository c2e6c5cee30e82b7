"""A run on this host is cancelled from another shell; a run on another host is not."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli_command import moe_harness, start_moe_harness
from stored_records import load_version

from harness.launch.processes import processes_of
from harness.launch.rundir import RunPaths
from harness.runs.record_file import load, save

# In Megatron's place: two ranks that print an iteration line and stay, each with a child in a session of its own.
STAYS = """
import os, subprocess, time
subprocess.Popen(["sleep", "600"], start_new_session=True)
if os.environ["RANK"] == "0":
    print(" [2026-01-01 00:00:00.000000] iteration        1/      50 | consumed samples:            4 |"
          " elapsed time per iteration (ms): 250.0 | learning rate: 1.000000E-04 | global batch size:     4 |"
          " lm loss: 9.000000E+00 | loss scale: 1.0 | grad norm: 1.000 | number of skipped iterations:   0 |"
          " number of nan iterations:   0 |", flush=True)
time.sleep(600)
"""
LAUNCH = ("launch", "--on", "interactive", "MODEL=Mixtral-8x2B", "DATASET=mock", "TOKENIZER_MODEL=", "GPUS_PER_NODE=2")


@pytest.fixture
def launched(tmp_path: Path) -> "Iterator[subprocess.Popen[str]]":
    """A launch on this host whose first step is on the screen."""
    (tmp_path / "pretrain_gpt.py").write_text(STAYS)
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    process = start_moe_harness(*LAUNCH, f"MEGATRON_PATH={tmp_path}", here=tmp_path, environ=environ)
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("step 1/50"):
            break
    else:
        pytest.fail(said)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_it_ends_with_all_its_processes_and_its_record_says_so(
    tmp_path: Path, launched: "subprocess.Popen[str]"
) -> None:
    (folder,) = (tmp_path / "runs").glob("Mixtral-*")
    assert len(processes_of(folder)) >= 5  # torchrun, two ranks, two children
    answer = moe_harness("runs", "cancel", "Mixtral", here=tmp_path)
    assert (answer.code, answer.out) == (0, f"{folder.name}: cancelled\n"), answer.err
    launched.communicate(timeout=30)
    assert launched.returncode == 1 and processes_of(folder) == []
    assert load(RunPaths(folder).record).status == "cancelled"
    shown = json.loads(moe_harness("runs", "show", "Mixtral", "--json", here=tmp_path).out)
    assert [sample["iteration"] for sample in shown["samples"]] == [1]
    again = moe_harness("runs", "cancel", "Mixtral", here=tmp_path)
    assert again.code == 1 and f"{folder.name}: has already ended, cancelled" in again.err


@pytest.mark.slow
def test_what_a_dead_supervisor_left_running_is_ended(tmp_path: Path, launched: "subprocess.Popen[str]") -> None:
    (folder,) = (tmp_path / "runs").glob("Mixtral-*")
    launched.kill()
    launched.wait()
    assert "running" in moe_harness("runs", "list", here=tmp_path).out
    answer = moe_harness("runs", "cancel", "Mixtral", here=tmp_path)
    assert (answer.code, answer.out) == (1, f"{folder.name}: failed, before it could be cancelled\n")
    assert processes_of(folder) == []


@pytest.mark.parametrize("owner", ["1 another-host\n", ""])
def test_a_run_whose_supervisor_is_elsewhere_is_left_alone(tmp_path: Path, owner: str) -> None:
    record = load_version(3)
    paths = RunPaths(tmp_path / record.run_id)
    paths.root.mkdir()
    job = replace(record.job, on="local", host="another-host", job_id=None, cluster=None)
    save(replace(record, status="running", ended=None, job=job, error=None), paths.record, {})
    paths.owner.write_text(owner)
    answer = moe_harness("runs", "cancel", record.run_id, "--output-path", str(tmp_path), here=tmp_path)
    text = f"{record.run_id}: runs on another-host without Slurm; end it by Ctrl-C where it was started"
    assert (answer.code, answer.errors) == (2, [text])
    assert load(paths.record).status == "running"

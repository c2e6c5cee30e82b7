"""`moe-harness eval` as a user runs it, on real ranks: what it leaves, what stops it, and how it goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_command import moe_harness, start_moe_harness
from tiny_models import make_tiny

from harness.cli.main import run
from harness.launch.processes import processes_of

pytestmark = pytest.mark.slow

FAST = {"OMP_NUM_THREADS": "1"}
BRIEF = ("--what", "loss,routing", "--seq-len", "64", "--max-tokens", "500")
LONG = ("--what", "loss", "--seq-len", "64", "--val-data", "long.npy")
"""Seconds for each checkpoint."""

NO_LM_EVAL = """
import importlib.util
_found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "lm_eval" else _found(name, package)
"""
"""An interpreter that does not see lm-eval."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Mixtral's weights as torch_dist."""
    folder = tmp_path_factory.mktemp("weights")
    make_tiny("Mixtral", folder / "hf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTPUT_PATH", str(folder / "runs"))
        assert run(["convert", str(folder / "hf"), str(folder / "ckpt")]) == 0
    return folder / "ckpt/release"


@pytest.fixture
def here(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, with checkpoints of three steps in `saved`, and many tokens."""
    for step in (50, 100, 150):
        shutil.copytree(weights, tmp_path / f"saved/iter_{step:07d}")
    np.save(tmp_path / "long.npy", np.random.default_rng(1).integers(0, 257, 150_000).astype(np.uint16))
    monkeypatch.setenv("OUTPUT_PATH", str(tmp_path / "runs"))
    return tmp_path


def results(folder: Path) -> list[dict[str, Any]]:
    """The results in a folder, the oldest first."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("eval_results_*.json"))]


def records(here: Path) -> list[dict[str, Any]]:
    """The records of all runs, the oldest first."""
    found = [json.loads(path.read_text()) for path in here.glob("runs/*/record.json")]
    return sorted(found, key=lambda record: record["created"])


def whole(folder: Path) -> bool:
    """Whether nothing is there that is half written."""
    return not [path for path in folder.iterdir() if path.name.startswith(".")]


def start_series(here: Path) -> "subprocess.Popen[str]":
    """An evaluation of all steps, when the first one's result is there."""
    process = start_moe_harness("eval", "saved", "--steps", "all", *LONG, here=here, environ=FAST)
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("checkpoint 1/3"):
            return process
    process.wait()
    raise AssertionError(said)


def go_on(here: Path, before: list[dict[str, Any]]) -> None:
    """The same command again measures what is missing, and nothing else; once more, nothing at all."""
    again = moe_harness("eval", "saved", "--steps", "all", *LONG, here=here, environ=FAST)
    assert again.code == 0, again.err
    after = results(here / "saved/eval")
    assert [document["step"] for document in after] == [50, 100, 150]
    assert after[: len(before)] == before
    runs = len(records(here))
    once_more = moe_harness("eval", "saved", "--steps", "all", *LONG, here=here, environ=FAST)
    assert once_more.code == 0 and "evaluated already" in once_more.err
    assert results(here / "saved/eval") == after and len(records(here)) == runs


def test_ctrl_c_keeps_what_is_finished(here: Path) -> None:
    process = start_series(here)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "results are there and stay; the same command does the rest" in said and "record: " in out
    (record,) = records(here)
    assert record["status"] == "cancelled"
    (folder,) = (here / "runs").iterdir()
    assert processes_of(folder) == []
    kept = results(here / "saved/eval")
    assert 1 <= len(kept) < 3 and whole(here / "saved/eval")
    go_on(here, kept)


def test_a_rank_that_is_killed_fails_the_run_with_its_cause(here: Path) -> None:
    process = start_series(here)
    (folder,) = (here / "runs").iterdir()
    ranks = [pid for pid in processes_of(folder) if b"-m\0harness.engine.evaluate" in _command(pid)]
    os.kill(ranks[-1], signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "rank 0 ended with exit code 137" in said or "rank 0 ended with exit code -9" in said, said
    assert "Traceback" not in said
    (record,) = records(here)
    assert record["status"] == "failed" and record["error"]["rank"] == 0
    assert processes_of(folder) == []
    kept = results(here / "saved/eval")
    assert 1 <= len(kept) < 3 and whole(here / "saved/eval")
    go_on(here, kept)


def _command(pid: int) -> bytes:
    """A process's command line, torchrun's own being none of a rank's."""
    line = Path(f"/proc/{pid}/cmdline").read_bytes()
    return b"" if b"torch" in line.partition(b"harness.engine")[0] else line


def test_runs_verbs_and_cancelling_from_another_shell(here: Path) -> None:
    process = start_series(here)
    (record,) = records(here)
    listed = moe_harness("runs", "list", here=here).out.splitlines()[-1].split()
    assert listed[:3] == [record["run_id"], "running", "saved"]
    watcher = start_moe_harness("runs", "watch", "--every", "0.2", here=here)
    time.sleep(1.0)
    cancelled = moe_harness("runs", "cancel", record["run_id"], here=here)
    assert (cancelled.code, cancelled.out) == (0, f"{record['run_id']}: cancelled\n"), cancelled.err
    process.communicate(timeout=60)
    watched, _ = watcher.communicate(timeout=60)
    assert watcher.returncode == 1 and "cancelled" in watched
    assert len(results(here / "saved/eval")) >= 1
    shown = moe_harness("runs", "show", record["run_id"], here=here)
    assert shown.code == 0 and "cancelled" in shown.out and "step 50" in shown.out
    (data,) = json.loads(moe_harness("runs", "list", "--json", here=here).out)
    assert (data["kind"], data["status"]) == ("evaluation", "cancelled")


def test_one_altered_bit_is_found_and_the_others_results_stay(here: Path) -> None:
    shard = here / "saved/iter_0000100/__0_0.distcp"
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 1
    shard.write_bytes(content)
    answer = moe_harness("eval", "saved", "--steps", "all", *BRIEF, here=here, environ=FAST)
    assert answer.code == 1 and "Traceback" not in answer.err
    assert f"engine: {shard}, byte " in answer.err and "altered since it was saved, by its CRC-32" in answer.err
    assert "1 of 3 results are there and stay" in answer.err
    assert [document["step"] for document in results(here / "saved/eval")] == [50]


def test_two_at_once_in_one_folder(here: Path) -> None:
    """One of them may find the other's result; neither writes over it."""
    words = ("eval", "saved", "--steps", "50,100", *BRIEF, "OUTPUT_DIR=results")
    both = [start_moe_harness(*words, here=here, environ=FAST) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    found = results(here / "results")
    assert {document["step"] for document in found} == {50, 100} and 2 <= len(found) <= 4
    assert len({document["output_file"] for document in found}) == len(found)
    assert len({document["validation"]["loss"] for document in found}) == 1
    assert whole(here / "results") and not (here / "saved/eval").exists()


def test_evaluate_sh_by_environment_and_odd_paths(here: Path, repository: Path) -> None:
    """The shim, with the names of other scripts, on a path with a space and a quote; CPU ranks."""
    odd = here / 'the model\'s "best" one'
    shutil.copytree(here / "saved", odd / "saved")
    home = here / "home"
    (home / "tools").mkdir(parents=True)
    (home / ".venv").symlink_to(sys.prefix)
    shutil.copy(repository / "evaluate.sh", home)
    setup = home / "tools/setup.sh"
    setup.write_text('#!/bin/sh\necho "$@" > "$(dirname "$0")/asked"\n')  # the real one installs
    setup.chmod(0o755)
    told = {"CHECKPOINT_DIR": f"{odd}/saved/iter_0000050", "OUTPUT_DIR": f"{odd}/all results", "SEED": "5", "NGPU": "0"}
    words = ["bash", str(home / "evaluate.sh"), *BRIEF]
    done = subprocess.run(words, cwd=here, env={**os.environ, **FAST, **told}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (home / "tools/asked").read_text() == "eval\n"
    (result,) = results(odd / "all results")
    assert (result["step"], result["checkpoint_dir"]) == (50, f"{odd}/saved/iter_0000050")
    assert result["validation"]["tokens"] == 500
    assert result["config"]["DEVICE"] == "cpu"
    assert result["output_file"] in done.stdout


def test_without_lm_eval_the_rest_runs(here: Path) -> None:
    (here / "hidden").mkdir()
    (here / "hidden/sitecustomize.py").write_text(NO_LM_EVAL)
    environ = {**FAST, "PYTHONPATH": str(here / "hidden")}
    words = ("eval", "saved/iter_0000050", "--tasks", "arc_easy")
    alone = moe_harness(*words, "--what", "tasks", here=here, environ=environ)
    install = "lm-eval is not installed; pip install 'moe-harness[eval]' (or tools/setup.sh eval)"
    assert (alone.code, alone.errors) == (2, [f"--tasks: {install}"])
    assert not (here / "runs").exists()
    answer = moe_harness(*words, *BRIEF[2:], "--what", "loss,tasks", here=here, environ=environ)
    assert answer.code == 0, answer.err
    assert f"notice: --tasks: {install}; the rest is measured" in answer.err
    (result,) = results(here / "saved/eval")
    assert result["validation"]["tokens"] == 500 and "lm_eval" not in result

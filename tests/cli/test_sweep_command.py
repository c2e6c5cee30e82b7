"""`moe-harness sweep` as a user types it; on this machine with real Megatron-Core."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_command import CODE, moe_harness, start_moe_harness

MIXTRAL = ("sweep", "MODEL=Mixtral-8x2B", "DATASET=mock")
ON_SLURM = ("sweep", "--on", "slurm", "MODEL=DeepSeek-V2-Lite", "PROXY=none", "DATASET=mock", "OUTPUT_PATH=/out")
TOO_MANY_RANKS = (
    "cluster_configs/benchmarking/laptop.conf:6: 2 GPUs are no multiple of ETP·EP·PP = 1·4·1 = 4; allowed with this"
    " mapping: multiples of 4; fix: NNODES=2 with 2 GPUs a node, or change the mapping"
)
CASES = {
    "a name that is no setting": (
        (*MIXTRAL, "EPP=1,2", "MBS=1,2"),
        ["command line: unknown setting EPP; did you mean PP or EP or VPP?"],
    ),
    "every mistake at once": (
        ("sweep", "MODEL=Mixtral-8x2B,Mixtral", "EPP=1", "MBS=1,,x", "PROXY=none,big"),
        [
            "MODEL=Mixtral: no such model; did you mean Mixtral-8x7B or Mixtral-8x2B or Mixtral-8x22B?",
            "PROXY=big: no such proxy; known: laptop",
            "command line: MBS=1,,x: a value is missing between commas; write it or drop a comma",
            "command line: MBS='x' is not allowed; allowed here: a whole number from 1 to 100000000",
            "command line: unknown setting EPP; did you mean PP or EP or VPP?",
        ],
    ),
    "a secret": (
        (*MIXTRAL, "WANDB_API_KEY=0123456789", "MBS=1,2"),
        ["command line: WANDB_API_KEY is a secret, and others can read a command line; export WANDB_API_KEY instead"],
    ),
    "no point can run": (
        (*MIXTRAL, "EP=3,4"),
        [
            "EP=3: command line: EP=3 does not divide --num-experts 8; allowed here: 1, 2; fix: EP=2",
            f"EP=4: {TOO_MANY_RANKS}",
        ],
    ),
    "no list of two lengths can be paired": (
        (*MIXTRAL, "--zip", "EP=1,2", "MBS=1,2,4"),
        [
            "--zip pairs the values one by one, but EP has 2 (1,2), MBS has 3 (1,2,4); make the lists equally long,"
            " or use --grid"
        ],
    ),
    "--max-jobs without Slurm": (
        (*MIXTRAL, "EP=1,2", "--max-jobs", "2"),
        ["--max-jobs is Slurm's, and --on local runs one job after another; leave it out"],
    ),
    "jobs that cannot be made to wait for one another": (
        (*ON_SLURM, "EP=1,2", "SBATCH_ARGS=--dependency=afterok:1?afterok:2", "--max-jobs", "2", "--dry-run"),
        [
            "--max-jobs makes jobs wait for one another, which cannot be joined with the either-or of"
            " 'afterok:1?afterok:2' in SBATCH_ARGS; leave one of them out"
        ],
    ),
    "a range": (
        (*MIXTRAL, "EP=1-2"),
        [
            "command line: EP='1-2' is not allowed; allowed here: a whole number from 1 to 100000000; several values"
            " have commas between them: 2,4,8"
        ],
    ),
    "a name that is no folder": (
        (*MIXTRAL, "EP=1,2", "--name", "../mine"),
        [
            "--name '../mine' cannot name a folder; allowed: up to 64 letters, digits, '_', '.' and '-',"
            " beginning with a letter or digit"
        ],
    ),
    "nobody to ask": (
        (*ON_SLURM[:-1], "EP=4,8"),
        [
            "to submit them wants a yes, and there is no terminal to ask on; give --yes, or --dry-run to look only",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_is_told(case: str, tmp_path: Path) -> None:
    words, expected = CASES[case]
    answer = moe_harness(*words, here=tmp_path)
    assert answer.errors == expected
    assert answer.code == 2
    assert not list(tmp_path.glob("runs/*-*"))


def test_a_dry_run_shows_points_costs_and_refusals_and_touches_nothing(tmp_path: Path) -> None:
    answer = moe_harness(*ON_SLURM, "GPU=H100", "EP=4,3", "MBS=1,2", "RUN_TIME=01:00:00", "--dry-run", here=tmp_path)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0] == "3 refused:"
    assert lines[1].startswith("EP=4 MBS=2  predicted memory: 90.46 GiB on pipeline rank 0, and H100 has 80.00 GiB")
    assert lines[2].startswith("EP=3 MBS=1  command line: EP=3 does not divide --num-experts 64;")
    assert lines[5].split()[:4] == ["EP", "MBS", "nodes", "GPUs"]
    assert lines[7].split() == [*("4", "1", "1", "8", "01:00:00", "17.58", "s", "71.63", "GiB", "8", "2", "to", "run")]
    assert "1 job to run, at most 8 GPU-hours by their time limits; predicted 2, without start-up" in lines[8]
    as_json = moe_harness(*ON_SLURM, "GPU=H100", "EP=4,3", "MBS=1", "--dry-run", "--json", here=tmp_path)
    data = json.loads(as_json.out)
    (point,) = data["points"]
    assert (point["point"], point["settings"], point["ranks"], point["to_run"]) == ("EP=4", {"EP": "4"}, 8, True)
    assert [it["point"] for it in data["refused"]] == ["EP=3"]
    assert not list(tmp_path.iterdir())


def test_points_that_come_to_the_same_flags_are_told(tmp_path: Path) -> None:
    answer = moe_harness(*MIXTRAL, "MOE_TOKEN_DISPATCHER=flex,deepep", "--on", "slurm", "--dry-run", here=tmp_path)
    names = "MOE_TOKEN_DISPATCHER=flex and MOE_TOKEN_DISPATCHER=deepep"
    assert f"notice: {names} come to the same flags: the same is run twice" in answer.err


def test_repeats_come_after_all_points_were_run_once(tmp_path: Path) -> None:
    answer = moe_harness(*MIXTRAL, "EP=1,2", "REPEATS=2", "--on", "local", "--dry-run", "--json", here=tmp_path)
    assert answer.code == 0, answer.err
    points = [it["point"] for it in json.loads(answer.out)["points"]]
    assert points == ["EP=1 REPEAT=1", "EP=2 REPEAT=1", "EP=1 REPEAT=2", "EP=2 REPEAT=2"]


def test_points_share_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "cluster_configs/benchmarking"
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / f"{name}.conf").write_text(f"[cluster]\nPROXY = laptop\nDEVICE = cpu\nOUTPUT_PATH = /out/{name}\n")
    words = (*MIXTRAL, "CLUSTER=a,b", "EP=1", "GPUS_PER_NODE=2", "PR=fp32", "MEGATRON_PATH=/megatron", "--dry-run")
    answer = moe_harness(*words, here=tmp_path)
    assert answer.errors == ["the points of a sweep share one folder, and OUTPUT_PATH is /out/a and /out/b; set it"]
    assert moe_harness(*words, "OUTPUT_PATH=/out", here=tmp_path).code == 0


def test_it_asks_before_it_submits(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    words = (*ON_SLURM[:-1], "EP=4,8")
    with subprocess.Popen(
        [sys.executable, "-c", CODE, *words], cwd=tmp_path, stdin=theirs, stderr=subprocess.PIPE, text=True
    ) as process:
        os.write(ours, b"n\n")
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.rstrip().endswith("submit? [y/N]:")
    assert not list(tmp_path.glob("runs/*-*"))


@pytest.mark.slow
def test_a_driver_that_died_is_no_obstacle_and_what_is_done_is_not_run_again(tmp_path: Path) -> None:
    words = (*MIXTRAL, "GPUS_PER_NODE=1", "EP=1", "MBS=1,2,3", "TRAIN_ITERS=3", "--name", "mine")
    driver = start_moe_harness(*words, here=tmp_path)
    wait_for(driver, "step 1/3")
    driver.kill()
    driver.communicate()
    answer = moe_harness(*words, "--json", here=tmp_path)
    assert answer.code == 0, answer.err
    assert "notice: MBS=1: the driver died while it ran, so it is run again; run: " in answer.err
    told = json.loads(answer.out)
    assert [(it["point"], it["run"]["status"]) for it in told["points"]] == [
        ("MBS=1", "completed"),
        ("MBS=2", "completed"),
    ]
    assert [it["point"] for it in told["refused"]] == ["MBS=3"]
    by_status = sorted((record["status"], record["campaign"]["item"]) for record in records(tmp_path))
    assert by_status == [("completed", "MBS=1"), ("completed", "MBS=2"), ("failed", "MBS=1")]
    again = moe_harness(*words, "--report", "sweep.html", here=tmp_path)
    assert "sweep mine: 0 jobs to run" in again.out
    assert "<h1>2 runs of Mixtral-8x2B on CPU</h1>" in (tmp_path / "sweep.html").read_text()
    assert len(records(tmp_path)) == 3
    other = moe_harness(*words, "TP=1", "LR=1e-5", here=tmp_path)
    assert other.code == 2
    assert other.errors[1].startswith("  LR was ")


@pytest.mark.slow
def test_ctrl_c_ends_the_run_under_way_and_the_sweep(tmp_path: Path) -> None:
    driver = start_moe_harness(*MIXTRAL, "GPUS_PER_NODE=1", "EP=1", "MBS=1,2", "TRAIN_ITERS=10000", here=tmp_path)
    wait_for(driver, "step 2/")
    driver.send_signal(signal.SIGINT)
    out, err = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert "notice: the same command goes on with the rest; --retry-failed runs MBS=1 again too" in err
    assert [line.split()[:2] for line in out.splitlines()[-2:]] == [["1", "cancelled"], ["2", "not"]]
    assert [record["status"] for record in records(tmp_path)] == ["cancelled"]


def wait_for(process: "subprocess.Popen[str]", text: str) -> None:
    """Until the process has said this on stderr."""
    assert process.stderr
    next(line for line in process.stderr if line.startswith(text))


def records(here: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in here.glob("runs/*/record.json")]

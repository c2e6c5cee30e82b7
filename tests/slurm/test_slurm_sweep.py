"""Sweeps, and a campaign of jobs that are no training, on a real Slurm.

Whatever becomes of their driver, each point has one run and one job.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_command import Answer
from cluster import Cluster
from launching import User

from harness.cli.campaign_reporter import ScreenReporter
from harness.config.provenance import Resolved
from harness.launch.job import Job, Program
from harness.launch.parse_job import part_of_a_node
from harness.launch.run import open_run
from harness.runs.campaign.assess import assess_items
from harness.runs.campaign.campaign import Campaign, campaign_of
from harness.runs.campaign.item import ItemAssessment
from harness.runs.campaign.run import run_campaign
from harness.runs.render_job import render_job

KILLING = """#!/bin/bash
# The real sbatch, but for a driver that is killed at the worst moments.
count=$(($(cat {folder}/calls 2>/dev/null || echo 0) + 1))
echo $count >{folder}/calls
case $count in
  2) {program} "$@" >/dev/null; kill -KILL $PPID ;;           # Slurm took the job, and nobody heard its answer
  3) kill -KILL $PPID; sleep 1; {program} "$@" >/dev/null ;;  # an sbatch that outlives its driver
  4) kill -KILL $PPID ;;                                     # the record is there, the job never was
  *) exec {program} "$@" ;;
esac
"""
LIMITED = """#!/bin/bash
# The real sbatch, but for a limit of two jobs: an own database with limits would take longer than all these tests.
count=$(($(cat {folder}/calls 2>/dev/null || echo 0) + 1))
echo $count >{folder}/calls
if [ $count -gt 2 ] && [ ! -e {folder}/fewer ]; then
  echo "sbatch: error: AssocMaxSubmitJobLimit" >&2
  echo "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size" \
    "and/or time limits)" >&2
  exit 1
fi
exec {program} "$@"
"""
STAND_IN = """
import os, sys, time
from pathlib import Path
flags = dict(zip(sys.argv[1:], sys.argv[2:]))
run, iterations, began = Path(os.environ["RUN_DIR"]), int(flags["--train-iters"]), time.time()
if flags["--micro-batch-size"] == "4" and not Path("{folder}/mended").exists():
    raise ValueError("four is one too many")
for step in range(1, iterations + 1):
    time.sleep({step_s})
    while step == 3 and Path("{folder}/hold").exists():
        time.sleep(0.05)
    print(f" [2026-01-01 00:00:00.000000] iteration {{step:8}}/{{iterations:8}} | consumed samples: {{16 * step:12}} |"
          f" elapsed time per iteration (ms): {{100 * int(flags['--micro-batch-size'])}}.0 | learning rate: 1.0E-04 |"
          " global batch size:    16 | lm loss: 5.5E+00 | loss scale: 1.0 | grad norm: 1.0 |"
          " number of skipped iterations:   0 | number of nan iterations:   0 |", flush=True)
(run / "span").write_text(f"{{began}} {{time.time()}}")
"""
ONE_RANK_EACH = {"GPUS_PER_NODE": "1", "SBATCH_ARGS": "--oversubscribe"}
"""So that jobs share nodes."""

SIX = ("MODEL=Mixtral-8x2B", "CLUSTER=here", "EP=1", "MBS=1,2", "LR=1e-4,2e-4,3e-4")


class Sweeper(User):
    """A user of `moe-harness sweep`."""

    def __init__(self, folder: Path, slurm: Cluster) -> None:
        super().__init__(folder, slurm, **ONE_RANK_EACH)
        self.steps_take(0.02)

    def steps_take(self, step_s: float) -> None:
        """How long the stand-in takes for a step of jobs that start from now on."""
        (self.folder / "pretrain_gpt.py").write_text(STAND_IN.format(folder=self.folder, step_s=step_s))

    def sweep(self, *words: str) -> Answer:
        return self("sweep", "--every", "0.3", *words)

    def start_sweep(self, *words: str) -> "subprocess.Popen[str]":
        return self.start("sweep", "--every", "0.3", *words)

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in self.folder.glob("runs/*/record.json")]

    def jobs(self) -> set[str]:
        """Every job that Slurm ever had of this folder."""
        listed = self.cluster.run("squeue", "--states=all", "--noheader", "--format=%A %Z").stdout
        return {line.split()[0] for line in listed.splitlines() if str(self.folder) in line}


@pytest.fixture
def sweeper(tmp_path: Path, slurm: Cluster) -> Sweeper:
    """A user who sweeps."""
    return Sweeper(tmp_path, slurm)


def test_a_driver_killed_at_the_worst_moments_neither_loses_nor_doubles_a_point(sweeper: Sweeper) -> None:
    sweeper.wrap("sbatch", KILLING)
    words = (*SIX, "TRAIN_ITERS=4", "--yes")
    assert [sweeper.sweep(*words).code for _ in range(3)] == [-signal.SIGKILL] * 3
    answer = sweeper.sweep(*words, "--json")
    assert answer.code == 0, answer.err
    records = sweeper.records()
    points = {f"MBS={mbs} LR={lr}" for mbs in (1, 2) for lr in ("1e-4", "2e-4", "3e-4")}
    assert sorted(it["campaign"]["item"] for it in records) == sorted(points)
    assert {it["status"] for it in records} == {"completed"}
    assert {it["job"]["job_id"] for it in records} == sweeper.jobs()
    assert len(sweeper.jobs()) == 6
    assert [len(it["attempts"]) for it in records] == [1] * 6
    told = json.loads(answer.out)
    assert {it["point"]: it["run"]["status"] for it in told["points"]} == dict.fromkeys(points, "completed")
    assert {it["run"]["step_time_s"] for it in told["points"]} == {0.1, 0.2}
    again = sweeper.sweep(*words)
    assert again.code == 0
    assert "0 jobs to run" in again.out
    assert len(sweeper.jobs()) == 6


def test_started_twice_the_second_touches_nothing_and_ctrl_c_leaves_the_jobs(sweeper: Sweeper) -> None:
    hold = sweeper.folder / "hold"
    hold.touch()
    words = ("MODEL=Mixtral-8x2B", "CLUSTER=here", "EP=1", "MBS=1,2", "TRAIN_ITERS=6", "--yes")
    with sweeper.start_sweep(*words) as first:
        assert first.stderr
        next(line for line in first.stderr if line.startswith("MBS=1: step"))
        before = {path: path.stat().st_mtime_ns for path in sweeper.folder.glob("runs/sweeps/*/*")}
        second = sweeper.sweep(*words)
        assert second.code == 2
        assert f"is driven by process {first.pid} on " in second.errors[0]
        assert before == {path: path.stat().st_mtime_ns for path in sweeper.folder.glob("runs/sweeps/*/*")}
        first.send_signal(signal.SIGINT)
        _, err = first.communicate(timeout=30)
    hold.unlink()
    assert first.returncode == 130
    assert "notice: the jobs go on without this command; the same command follows them again" in err
    assert len(sweeper.jobs()) == 2
    answer = sweeper.sweep(*words, "--json")
    assert answer.code == 0, answer.err
    assert len(sweeper.jobs()) == len(sweeper.records()) == 2
    points = json.loads(answer.out)["points"]
    assert [(it["point"], it["run"]["status"], it["best"]) for it in points] == [
        ("MBS=1", "completed", True),
        ("MBS=2", "completed", False),
    ]


def test_without_an_answer_of_slurm_nothing_is_submitted_again(sweeper: Sweeper) -> None:
    sweeper.wrap("sbatch", "#!/bin/bash\nkill -KILL $PPID\n")
    words = ("MODEL=Mixtral-8x2B", "CLUSTER=here", "EP=1", "MBS=1,2", "TRAIN_ITERS=1", "--yes")
    assert sweeper.sweep(*words).code == -signal.SIGKILL
    (sweeper.folder / "bin/sbatch").unlink()
    sweeper.cluster.stop_slurmctld()
    answer = sweeper.sweep(*words)
    assert answer.code == 2
    assert answer.errors[-1].startswith("Slurm does not answer (")
    assert answer.errors[-1].endswith(
        "), and only it knows whether it has the jobs of MBS=1; give this command again when it does"
    )
    sweeper.cluster.start_slurmctld()
    assert sweeper.sweep(*words).code == 0
    assert len(sweeper.records()) == len(sweeper.jobs()) == 2


def test_max_jobs_holds_without_a_driver(sweeper: Sweeper) -> None:
    sweeper.steps_take(0.5)
    words = (*SIX, "TRAIN_ITERS=3", "--max-jobs", "2", "--yes")
    with sweeper.start_sweep(*words) as driver:
        assert driver.stderr
        next(line for line in driver.stderr if "6 of 6" in line)
        driver.kill()
    sweeper.cluster.wait("all jobs have ended", lambda: not sweeper.cluster.run("squeue", "--noheader").stdout)
    spans = [tuple(map(float, path.read_text().split())) for path in sweeper.folder.glob("runs/*/span")]
    assert len(spans) == 6
    assert max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans) == 2


def test_what_failed_runs_again_on_demand_alone(sweeper: Sweeper) -> None:
    words = ("MODEL=Mixtral-8x2B", "CLUSTER=here", "EP=1", "MBS=1,4", "TRAIN_ITERS=4", "--yes")
    answer = sweeper.sweep(*words)
    assert answer.code == 1
    (sweeper.folder / "mended").touch()
    shown = sweeper.sweep(*words)
    assert shown.code == 1
    assert len(sweeper.jobs()) == 2
    assert "0 jobs to run" in shown.out
    mended = sweeper.sweep(*words, "--retry-failed")
    assert mended.code == 0, mended.err
    assert "to run again, failed" in mended.out
    assert len(sweeper.jobs()) == len(sweeper.records()) == 3


def test_a_point_that_can_never_start_is_told_and_cancelled(sweeper: Sweeper) -> None:
    answer = sweeper.sweep(*SIX[:3], "MBS=1", "PARTITION=tiny", "RUN_TIME=00:00:30,00:05:00", "TRAIN_ITERS=1", "--yes")
    assert answer.code == 1
    (error,) = answer.errors
    assert error.startswith("RUN_TIME=00:05:00: ")
    assert "could never start, and was cancelled: PartitionTimeLimit" in error
    by_point = {it["campaign"]["item"]: it["status"] for it in sweeper.records()}
    assert by_point == {"RUN_TIME=00:00:30": "completed", "RUN_TIME=00:05:00": "cancelled"}


def test_a_limit_on_submitted_jobs_stops_there_and_the_same_command_goes_on(sweeper: Sweeper) -> None:
    sweeper.wrap("sbatch", LIMITED)
    words = (*SIX, "TRAIN_ITERS=1", "--yes")
    stopped = sweeper.sweep(*words)
    assert stopped.code == 2
    assert "AssocMaxSubmitJobLimit" in stopped.err
    assert stopped.errors[-1] == (
        "MBS=1 LR=3e-4 and what comes after it were not submitted; 2 of 6 jobs are in, and the same command goes on"
        " with the rest"
    )
    assert len(sweeper.records()) == len(sweeper.jobs()) == 2
    (sweeper.folder / "fewer").touch()
    assert sweeper.sweep(*words).code == 0
    assert len(sweeper.records()) == len(sweeper.jobs()) == 6


def test_a_campaign_of_jobs_that_are_no_training(
    sweeper: Sweeper, resolve: Callable[..., Resolved], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sweeper.environ.items():
        monkeypatch.setenv(name, value)
    programs = {"shard 1": "true", "shard 2": f"test -e {sweeper.folder}/mended", "shard 3": "true"}

    def assess(name: str) -> ItemAssessment:
        resolved = resolve("MODEL=Mixtral-8x2B", f"COMMENT={name}", cluster="here", here=sweeper.folder)
        job = Job(
            kind="conversion",
            name="shard",
            executor="slurm",
            resources=part_of_a_node(resolved, cpus=1, memory="100M", time_limit_s=60),
            program=Program(argv=("bash", "-c", programs[name]), env={}, python=sys.executable),
        )
        return ItemAssessment(resolved=resolved, rendered=render_job(resolved, job))

    assessed = assess_items({name: {} for name in programs}, assess)
    campaign = campaign_of(assessed, "slurm", open_run=open_run, name="shards")
    assert statuses(campaign) == {"shard 1": "completed", "shard 2": "failed", "shard 3": "completed"}
    (sweeper.folder / "mended").touch()
    assert statuses(campaign)["shard 2"] == "failed"
    assert len(sweeper.jobs()) == 3
    assert statuses(campaign, retry_failed=True) == dict.fromkeys(programs, "completed")
    assert len(sweeper.jobs()) == len(sweeper.records()) == 4


def statuses(campaign: Campaign, *, retry_failed: bool = False) -> dict[str, str]:
    """Run a campaign, at most two jobs at once; the status of each item."""
    outcome = run_campaign(
        campaign,
        ScreenReporter(),
        confirm=lambda runs, pending: True,
        retry_failed=retry_failed,
        max_jobs=2,
        every_s=0.3,
    )
    assert outcome is not None and not outcome.detached
    return {name: run.record.status for name, run in outcome.runs.items()}

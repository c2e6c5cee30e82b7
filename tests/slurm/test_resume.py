"""A training run that was killed goes on, with real Megatron on CPU ranks, as if nothing had happened."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest
from cli_command import moe_harness
from cluster import Cluster
from job_runs import SlurmRun

from harness.launch.rundir import RunPaths

CONF = """
[cluster]
PROXY = laptop
DEVICE = cpu
GPUS_PER_NODE = 2
PR = fp32
DATASET = mock
PRETRAIN = 1

[env]
MASTER_ADDR = 127.0.0.1
MASTER_PORT = {port}
OMP_NUM_THREADS = 1
"""
STEP = re.compile(r"iteration +(\d+)/.*lm loss: (\S+).*grad norm: (\S+)")


def train(slurm: Cluster, here: Path) -> SlurmRun:
    """Submit the smallest proxy, saving every 8 steps."""
    with socket.socket() as probe:  # jobs of several clusters may run on this machine
        probe.bind(("127.0.0.1", 0))
        (here / "cpus.conf").write_text(CONF.format(port=probe.getsockname()[1]))
    words = (f"CLUSTER={here}/cpus.conf", "MODEL=Mixtral-8x2B", "TRAIN_ITERS=1000", "SAVE_INTERVAL=8")
    answer = moe_harness("launch", "--on", "slurm", *words, here=here)
    assert answer.code == 0, answer.err
    (job,) = re.findall(r"submitted job (\d+)", answer.out + answer.err)
    (folder,) = here.glob("runs/Mixtral-*")
    return SlurmRun(cluster=slurm, paths=RunPaths(folder), job_id=job)


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", slurm.environ["SLURM_CONF"])
    broken = train(slurm, tmp_path)
    broken.wait_until_said(" iteration       11/", timeout_s=180)
    os.kill(a_rank(broken), signal.SIGKILL)
    assert broken.wait_for("COMPLETED", "FAILED") == "FAILED", broken.log
    assert broken.attempts[0].exit_code == 128 + signal.SIGKILL
    resumed = broken.submit_again()
    slurm.wait("it trains on", lambda: max(curve_of(resumed, 1), default=0) >= 14, timeout_s=180)
    slurm.run("scancel", "--batch", "--signal=USR1", resumed.job_id)  # as Slurm does ahead of the time limit
    resumed.wait_for("COMPLETED", "FAILED", timeout_s=180)
    assert [it.exit_code for it in resumed.attempts] == [137, 124], resumed.log
    assert [it.resumed_step for it in resumed.attempts] == [None, 8]
    shown = moe_harness("runs", "show", resumed.paths.run_id, here=tmp_path).out
    assert re.search(r"it saved at step \d+ and ended", shown), shown
    expected, continued = curve_of(resumed, 0), curve_of(resumed, 1)
    assert list(continued) == list(range(9, max(continued) + 1))
    # Megatron logs of the second step after a start the mean loss of both.
    means = {10: (expected[9][0] + expected[10][0]) / 2}
    for step in range(9, min(max(expected), 14) + 1):
        assert continued[step][0] == pytest.approx(means.get(step, expected[step][0]), rel=1e-4)
        assert continued[step][1] == pytest.approx(expected[step][1], rel=1e-3)
    saved = resumed.paths.root / f"checkpoints/iter_{max(continued):07}/metadata.json"
    assert saved.exists()  # when it was asked to end


def curve_of(run: SlurmRun, attempt: int) -> dict[int, tuple[float, float]]:
    """Training loss and gradient norm by step of one attempt; nothing while that has not begun."""
    starts = [it.log_start_bytes for it in run.attempts]
    if attempt >= len(starts):
        return {}
    log = run.log[slice(*[*starts, None][attempt : attempt + 2])]
    return {int(step): (float(loss), float(norm)) for step, loss, norm in STEP.findall(log)}


def a_rank(run: SlurmRun) -> int:
    """The process id of one rank's program, and not of a process that it has forked."""
    mark = f"RUN_DIR={run.paths.root}".encode()
    ranks = {
        int(path.name)
        for path in Path("/proc").glob("[0-9]*")
        if b"harness.engine.pretrain" in read(path / "cmdline").split(b"\0")[:4]
        and mark in read(path / "environ").split(b"\0")
    }
    return next(pid for pid in ranks if parent_of(pid) not in ranks)


def parent_of(pid: int) -> int:
    """The process that started another; 0 once that has gone."""
    stated = read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()
    return int(stated[1]) if stated else 0


def read(path: Path) -> bytes:
    """A file of /proc; nothing once its process has gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""

"""The Slurm that the other tests stand on does what a real one does."""

from pathlib import Path

import pytest
from cluster import Cluster

TWO_BY_TWO = ("--nodes=2", "--ntasks-per-node=2")
SAY_WHERE = "srun sh -c 'echo $SLURM_PROCID $SLURMD_NODENAME $(id -un)'"


def test_two_nodes_run_two_tasks_each(slurm: Cluster) -> None:
    job = slurm.sbatch(*TWO_BY_TWO, script=SAY_WHERE)
    assert slurm.wait_for(job, "COMPLETED", "FAILED") == "COMPLETED"
    assert sorted(slurm.log(job).splitlines()) == ["0 node1 root", "1 node1 root", "2 node2 root", "3 node2 root"]


def test_another_user_runs_jobs(slurm: Cluster) -> None:
    job = slurm.sbatch(*TWO_BY_TWO, script=SAY_WHERE, user="nobody")
    assert slurm.wait_for(job, "COMPLETED", "FAILED") == "COMPLETED"
    assert {line.split()[-1] for line in slurm.log(job).splitlines()} == {"nobody"}
    assert (slurm.jobs / f"{job}.log").owner() == "nobody"


def test_gpus_are_handed_out(slurm: Cluster) -> None:
    if not (slurm.folder / "gpu0").exists():
        pytest.skip("the kernel refuses mknod here, so there are no device nodes to stand in for GPUs")
    job = slurm.sbatch("--gpus-per-node=2", script="echo $CUDA_VISIBLE_DEVICES")
    slurm.wait_for(job, "COMPLETED")
    assert slurm.log(job) == "0,1\n"


def test_sacct_tells_every_attempt(slurm_accounting: Cluster) -> None:
    job = slurm_accounting.sbatch("--requeue", script='[ -n "$SLURM_RESTART_COUNT" ] && exit 3; sleep 600')
    slurm_accounting.wait_for(job, "RUNNING")
    slurm_accounting.run("scontrol", "requeue", job)
    slurm_accounting.wait_for(job, "FAILED")
    query = ("sacct", "-X", "-n", "-P", "--duplicates", "-o", "JobID,State,ExitCode", "-j", job)
    slurm_accounting.wait("sacct has both attempts", lambda: slurm_accounting.run(*query).stdout.count("\n") == 2)
    assert slurm_accounting.run(*query).stdout.splitlines() == [f"{job}|REQUEUED|0:0", f"{job}|FAILED|3:0"]


def test_a_dead_slurmd_fails_or_requeues_its_jobs(slurm: Cluster) -> None:
    once = slurm.sbatch("--nodelist=node2", "--no-requeue", script="sleep 600")
    again = slurm.sbatch("--requeue", "--nodes=2", script='[ -n "$SLURM_RESTART_COUNT" ] || sleep 600')
    slurm.wait_for(once, "RUNNING")
    slurm.wait_for(again, "RUNNING")
    slurm.kill_slurmd("node2")
    slurm.wait_for(once, "NODE_FAIL")
    slurm.start_slurmd("node2")
    slurm.wait_for(again, "COMPLETED")
    assert slurm.show(again)["Restarts"] == "1"


def test_a_node_set_down_takes_its_jobs_along(slurm: Cluster) -> None:
    job = slurm.sbatch("--nodelist=node2", "--no-requeue", script="sleep 600")
    slurm.wait_for(job, "RUNNING")
    slurm.set_down("node2")
    slurm.wait_for(job, "NODE_FAIL")
    slurm.resume("node2")
    assert slurm.node_states() == {"node1": "idle", "node2": "idle"}


def test_preemption_requeues(slurm: Cluster) -> None:
    low = slurm.sbatch("--partition=low", "--exclusive", *TWO_BY_TWO, script="sleep 600")
    slurm.wait_for(low, "RUNNING")
    high = slurm.sbatch("--partition=high", "--exclusive", *TWO_BY_TWO, script="true")
    slurm.wait_for(high, "COMPLETED")
    slurm.wait_for(low, "RUNNING")
    assert slurm.show(low)["Restarts"] == "1"


def test_jobs_outlive_slurmctld(slurm: Cluster) -> None:
    gate = slurm.jobs / "gate"
    running = slurm.sbatch(script=f"until [ -e {gate} ]; do sleep 0.1; done")
    waiting = slurm.sbatch(f"--dependency=afterok:{running}", script="true")
    slurm.wait_for(running, "RUNNING")
    slurm.stop_slurmctld()
    assert "Unable to contact slurm controller" in slurm.run("squeue", check=False).stderr
    gate.touch()
    slurm.start_slurmctld()
    slurm.wait_for(waiting, "COMPLETED")
    assert slurm.state(running) == "COMPLETED"


def test_slurm_forgets_a_job(slurm_programs: None) -> None:
    with Cluster(min_job_age_s=2) as forgetful:
        job = forgetful.sbatch(script="true")
        forgetful.wait("the job is forgotten", lambda: forgetful.state(job) is None)


def test_clusters_live_side_by_side_and_leave_nothing(slurm: Cluster) -> None:
    kept = slurm.sbatch(script="sleep 600")
    with Cluster() as other:
        job = other.sbatch(script="trap '' TERM; sleep 600 & echo $!; wait")
        other.wait_for(job, "RUNNING")
        other.wait("the job has begun", lambda: other.log(job) != "")
        task = int(other.log(job))
        assert command_line(task)
    assert not command_line(task)
    assert not other.folder.exists()
    assert all(daemon.returncode is not None for daemon in other.daemons.values())
    assert slurm.wait_for(kept, "RUNNING") == "RUNNING"


def test_reset_leaves_nothing_of_a_test(slurm: Cluster) -> None:
    for _ in range(3):
        job = slurm.sbatch("--exclusive", script="trap '' TERM; while :; do sleep 1; done")
    slurm.wait_for(job, "PENDING", "RUNNING")
    slurm.set_down("node1")
    slurm.kill_slurmd("node2")
    slurm.stop_slurmctld()
    slurm.reset()
    assert slurm.run("squeue", "--noheader").stdout == ""
    assert slurm.node_states() == {"node1": "idle", "node2": "idle"}


def command_line(pid: int) -> bytes:
    """What a process was called with; empty once it has ended, even where nobody asks for its exit code."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""

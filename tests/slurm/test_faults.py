"""Faults brought about on a real Slurm, each under a run that is watched: docs/faults.md tells what comes of them."""

import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cluster import Cluster
from faulty_runs import FaultyRun, Outcome, told_attempts, told_record, unseen
from launching import User, read_until
from small_disk import small_disk

type Fault = Callable[[Cluster, Path], Outcome]

TIMEOUT = "[E ProcessGroupNCCL.cpp:629] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1)"
ENDS_WELL_WHEN_ASKED = "signal.signal(signal.SIGTERM, lambda *_: sys.exit())\nsay('training')\ntime.sleep(60)"


def killed_rank(slurm: Cluster, folder: Path) -> Outcome:
    """a rank is killed by SIGKILL"""
    run = FaultyRun(folder, slurm, fault="if rank == 0: os.kill(os.getpid(), signal.SIGKILL)\ntime.sleep(60)").ready()
    run.go()
    return run.end()


def out_of_memory(slurm: Cluster, folder: Path) -> Outcome:
    """a GPU is out of memory, the other ranks time out; `RETRIES=1`"""
    fault = f"say('CUDA out of memory' if rank else '{TIMEOUT}')\ntime.sleep(1 - rank)\nsys.exit(1)"
    run = FaultyRun(folder, slurm, "RETRIES=1", fault=fault).ready()
    run.go()
    return run.end()


def cancelled_by_another(slurm: Cluster, folder: Path) -> Outcome:
    """`scancel` by someone else"""
    run = FaultyRun(folder, slurm, "RETRIES=1").ready()
    slurm.run("scancel", run.job)
    return run.end()


def time_limit(slurm: Cluster, folder: Path) -> Outcome:
    """the time limit"""
    run = FaultyRun(folder, slurm).ready()
    slurm.run("scontrol", "update", f"JobId={run.job}", "TimeLimit=0")  # it is over when Slurm looks next
    return run.end()


def warned_of_the_time_limit(slurm: Cluster, folder: Path) -> Outcome:
    """the warning ahead of the time limit, heeded by all ranks"""
    run = FaultyRun(folder, slurm, fault=ENDS_WELL_WHEN_ASKED).ready()
    run.go()
    run.wait("both ranks train", lambda: run.log.count("training") == run.ranks)
    slurm.run("scancel", "--batch", "--signal=USR1", run.job)  # as --signal=B:USR1@… has Slurm do
    return run.end()


def requeued(slurm: Cluster, folder: Path) -> Outcome:
    """`scontrol requeue` by an operator; `RETRIES=1`"""
    run = FaultyRun(folder, slurm, "RETRIES=1").ready()
    slurm.run("scontrol", "requeue", run.job)
    run.until_said("PENDING")
    assert run.user.record()["status"] == "submitted"
    return run.end()


def requeued_without_retries(slurm: Cluster, folder: Path) -> Outcome:
    """`scontrol requeue` by an operator, without `RETRIES`"""
    run = FaultyRun(folder, slurm).ready()
    said = slurm.run("scontrol", "requeue", run.job, check=False).stderr
    run.go()
    run.end()
    return run.outcome(said)


def requeued_when_completed(slurm: Cluster, folder: Path) -> Outcome:
    """`scontrol requeue` of a run that has completed; `RETRIES=1`"""
    run = FaultyRun(folder, slurm, "RETRIES=1").ready()
    run.go()
    run.end()
    slurm.run("scontrol", "requeue", run.job)
    run.wait("the script has ended at once", lambda: "nothing to do" in run.log)
    slurm.wait_for(run.job, "COMPLETED")
    return run.outcome(run.log, run.user("runs", "list").out)


def requeued_when_cancelled(slurm: Cluster, folder: Path) -> Outcome:
    """`scontrol requeue` of a run that was cancelled; `RETRIES=1`"""
    run = FaultyRun(folder, slurm, "RETRIES=1").ready()
    slurm.run("scancel", run.job)
    assert run.end().record == "cancelled"
    slurm.run("scontrol", "requeue", run.job)
    run.wait("it has trained", lambda: "6/       6" in run.log)
    slurm.wait_for(run.job, "COMPLETED")
    return run.outcome(run.user("runs", "show", run.job).out)


def removed_folder(slurm: Cluster, folder: Path) -> Outcome:
    """the run's folder is removed while it trains"""
    run = FaultyRun(folder, slurm).ready()
    while run.folder.exists():  # someone may write there meanwhile
        shutil.rmtree(run.folder, ignore_errors=True)
    run.until_said("notice: its folder")
    run.go()
    return run.end()


def full_disk(slurm: Cluster, folder: Path) -> Outcome:
    """the disk under the run's folder is full, and is freed later"""
    with small_disk(folder, "600k") as disk:
        run = FaultyRun(folder / "user", slurm, output=disk).ready()
        with pytest.raises(OSError), (disk / "rubbish").open("wb", buffering=0) as rubbish:
            while True:
                rubbish.write(b"0" * 512)
        run.go()
        run.watched()
        (disk / "rubbish").unlink()
        return run.outcome(run.user("runs", "show", run.job).out)


def job_of_another_user(slurm: Cluster, folder: Path) -> Outcome:
    """`runs watch` and `runs cancel` of another user's job"""
    job = slurm.sbatch("--oversubscribe", script="sleep 600", user="nobody")
    user = FaultyRun(folder, slurm).ready()
    said = [user.user("runs", verb, job).err for verb in ("watch", "cancel")]
    assert slurm.state(job) in ("PENDING", "RUNNING")
    user.go()
    user.end()
    slurm.run("scancel", job)
    return user.outcome(*said)


def forgotten_by_slurm(slurm: Cluster, folder: Path) -> Outcome:
    """Slurm has forgotten the job before anyone looked"""
    with Cluster(min_job_age_s=2) as forgetful:
        run = FaultyRun(folder, forgetful, watched=False).ready()
        run.go()
        run.wait("the job is forgotten", lambda: forgetful.state(run.job) is None)
        return run.end()


def slurmctld_away(slurm: Cluster, folder: Path) -> Outcome:
    """slurmctld is stopped while one watches, and started again"""
    with Cluster() as own:
        run = FaultyRun(folder, own).ready()
        own.stop_slurmctld()
        run.until_said("Slurm does not answer")
        own.start_slurmctld()
        run.until_said("Slurm answers again")
        run.go()
        return run.end()


def node_down(slurm: Cluster, folder: Path) -> Outcome:
    """a node is set down"""
    run = FaultyRun(folder, slurm, exclusive=True).ready()
    take_away(slurm, run.nodes[0])
    return run.end()


def node_down_with_retries(slurm: Cluster, folder: Path) -> Outcome:
    """a node is set down; `RETRIES=1`"""
    run = FaultyRun(folder, slurm, "RETRIES=1", exclusive=True).ready()
    take_away(slurm, run.nodes[0])
    return run.end()


def dead_slurmd(slurm: Cluster, folder: Path) -> Outcome:
    """slurmd dies under the run"""
    run = FaultyRun(folder, slurm, exclusive=True).ready()
    slurm.kill_slurmd(run.nodes[0])
    return run.end()


def dead_slurmd_of_the_batch_node(slurm: Cluster, folder: Path) -> Outcome:
    """slurmd dies on the first of two nodes, the ranks live on; `RETRIES=1`"""
    run = FaultyRun(folder, slurm, "NNODES=2", "RETRIES=1", exclusive=True).ready()
    slurm.kill_slurmd(run.nodes[0])
    return run.end()


def dead_slurmd_of_another_node(slurm: Cluster, folder: Path) -> Outcome:
    """slurmd dies on the second of two nodes, the ranks live on; `RETRIES=1`"""
    run = FaultyRun(folder, slurm, "NNODES=2", "RETRIES=1", exclusive=True).ready()
    slurm.kill_slurmd(run.nodes[1])
    return run.end()


def preempted(slurm: Cluster, folder: Path) -> Outcome:
    """a job of higher priority takes the node; `RETRIES=1`"""
    run = FaultyRun(folder, slurm, "RETRIES=1", "PARTITION=low", exclusive=True).ready()
    other = slurm.sbatch("--partition=high", f"--nodelist={run.nodes[0]}", "--exclusive", script="sleep 600")
    outcome = run.end()
    slurm.run("scancel", other)
    return outcome


def collective_timeout(slurm: Cluster, folder: Path) -> Outcome:
    """the ranks of one node wait in vain for those of another; `RETRIES=1`"""
    fault = f"if rank < 2: say('{TIMEOUT}'); sys.exit(1)\ntime.sleep(60)"
    run = FaultyRun(folder, slurm, "NNODES=2", "RETRIES=1", fault=fault, exclusive=True).ready()
    run.go()
    return run.end()


def sweep_started_twice(slurm: Cluster, folder: Path) -> Outcome:
    """the same sweep is started a second time while it runs"""
    user = User(folder, slurm)
    user.environ["HOLD"] = "1"  # the steps of a sweep's point are told at most once in 10 s
    words = ("sweep", "--every", "0.5", "MODEL=Mixtral-8x2B", "MBS=1", "TRAIN_ITERS=6", "--yes")
    words = (*words, "SBATCH_ARGS=--oversubscribe --nodelist=node1")
    with user.start(*words) as first:
        read_until(first, "step 1/6")
        said = user(*words).err
        user.go.touch()
        told, _ = first.communicate(timeout=60)
    record = user.record()
    return Outcome(saw=said + told, record=told_record(record), attempts=told_attempts(record["attempts"]))


def take_away(slurm: Cluster, node: str) -> None:
    """Set a node down for good; one that is only down comes back by itself when its slurmd is heard next."""
    slurm.set_down(node)
    slurm.run("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")


OF_JOBS: tuple[Fault, ...] = (
    killed_rank,
    out_of_memory,
    cancelled_by_another,
    time_limit,
    warned_of_the_time_limit,
    requeued,
    requeued_without_retries,
    requeued_when_completed,
    requeued_when_cancelled,
    removed_folder,
    full_disk,
    job_of_another_user,
    forgotten_by_slurm,
    slurmctld_away,
    sweep_started_twice,
)
OF_NODES: tuple[Fault, ...] = (
    node_down,
    node_down_with_retries,
    dead_slurmd,
    dead_slurmd_of_the_batch_node,
    dead_slurmd_of_another_node,
    preempted,
    collective_timeout,
)


@pytest.mark.parametrize(("faults", "nodes"), [(OF_JOBS, 2), (OF_NODES, 14)], ids=["jobs", "nodes"])
def test_what_comes_of_faults_is_what_the_page_says(
    faults: tuple[Fault, ...],
    nodes: int,
    slurm_programs: None,
    repository: Path,
    tmp_path: Path,
    subtests: pytest.Subtests,
) -> None:
    """All at once: most of their time is waiting."""
    rows = told(repository)
    with Cluster(nodes=nodes) as slurm, ThreadPoolExecutor(len(faults)) as pool:
        outcomes = {fault: pool.submit(fault, slurm, tmp_path / fault.__name__) for fault in faults}
        for fault, outcome in outcomes.items():
            with subtests.test(fault.__name__):
                saw, record, attempts = rows[str(fault.__doc__)]
                came = outcome.result()
                assert (came.record, came.attempts) == (record, attempts), came.saw
                missing = unseen(re.findall("`([^`]+)`", saw), came.saw)
                assert missing is None, f"{missing!r} is not said in its place:\n{came.saw}"


def test_the_page_tells_of_every_fault(repository: Path) -> None:
    assert list(told(repository)) == [fault.__doc__ for fault in (*OF_NODES, *OF_JOBS)]


def told(repository: Path) -> dict[str, tuple[str, str, str]]:
    """What the page's table says by fault: what the user saw, the final record, the attempts."""
    lines = (repository / "docs/faults.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")][1:]
    return {fault: (saw, record.strip("`"), attempts) for fault, saw, record, attempts in rows}

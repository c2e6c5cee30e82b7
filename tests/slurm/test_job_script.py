"""The job's script on a real Slurm: what it checks, writes down, survives, and starts again."""

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Cluster
from job_runs import SlurmRun, make_run

from harness.config.megatron_args import ArgValue
from harness.config.provenance import SettingValue
from harness.launch.slurm.submit import submit_script

type Submit = Callable[..., SlurmRun]

SAVING: dict[str, ArgValue] = {
    "--seed": "1",
    "--save": "${RUN_DIR}/checkpoints",
    "--load": "/start",
    "--finetune": True,
}
HARDWARE = "GPU has fallen off the bus"
TIMEOUT = "[E ProcessGroupNCCL.cpp] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1)"
ENDS_ON_TERM = """
def end(*_):
    save(7)
    sys.exit()
signal.signal(signal.SIGTERM, end)
"""


@pytest.fixture
def environ(slurm: Cluster, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment that jobs inherit: this cluster's, with a `python`, and a fence that looks every second."""
    monkeypatch.setenv("SLURM_CONF", slurm.environ["SLURM_CONF"])
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("MOE_HARNESS_FENCE_S", "1")
    return monkeypatch


@pytest.fixture
def submit(slurm: Cluster, environ: pytest.MonkeyPatch, tmp_path: Path) -> Submit:
    """Submits a run of a small program; `prepare` gets its folder first."""

    def call(
        program: str, *, prepare: Callable[[Path], object] = lambda _: None, **settings: SettingValue | object
    ) -> SlurmRun:
        paths = make_run(tmp_path, program, **settings)  # type: ignore[arg-type]
        prepare(paths.root)
        return SlurmRun(cluster=slurm, paths=paths, job_id=submit_script(paths).job_id)

    return call


@pytest.fixture
def slow(environ: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a program of the job's script take two seconds; the path that is there once it has been called."""
    folder = tmp_path_factory.mktemp("slow")
    environ.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str) -> Path:
        program = folder / name
        program.write_text(f'#!/bin/bash\ntouch {folder}/called\nsleep 2\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)
        return folder / "called"

    return make


def test_a_run_that_ends_well_is_never_run_again(submit: Submit) -> None:
    run = submit("say(f'I am {rank} of {os.environ[\"WORLD_SIZE\"]}')", NNODES=2)
    assert run.wait_for("COMPLETED", "FAILED") == "COMPLETED", run.log
    (attempt,) = run.attempts
    assert (attempt.job_id, attempt.nodes, attempt.exit_code) == (run.job_id, ("node1", "node2"), 0)
    assert run.codes() == {0: 0, 1: 0, 2: 0, 3: 0}
    assert sorted(line for line in run.log.splitlines() if " of " in line)[3] == "3: I am 3 of 4"
    assert not run.paths.owner.exists()
    again = run.submit_again()
    assert again.wait_for("COMPLETED", "FAILED") == "COMPLETED"
    assert again.log.endswith("this run is finished: nothing to do\n")
    assert len(again.attempts) == 1


def test_the_first_rank_that_failed_gives_the_exit_code(submit: Submit) -> None:
    run = submit("if rank == 3: sys.exit(9)\ntime.sleep(60)", NNODES=2)
    assert run.wait_for("COMPLETED", "FAILED") == "FAILED"
    (attempt,) = run.attempts
    assert attempt.exit_code == run.codes()[3] == 9  # srun itself says 143, of those that it ended
    assert not run.paths.finished.exists()


def test_what_a_dead_rank_leaves_behind_does_not_keep_the_job(submit: Submit) -> None:
    """Such as a process that writes a checkpoint, and has inherited Megatron's handler of TERM."""
    ends = "if os.fork() == 0: signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(120)\nelse: sys.exit(7)"
    run = submit(ends)
    assert run.wait_for("COMPLETED", "FAILED", timeout_s=30) == "FAILED"
    assert run.attempts[0].exit_code == 7


def test_all_that_is_missing_is_said_by_each_rank_before_anything_runs(submit: Submit) -> None:
    run = submit("say('training')", NNODES=2, DEVICE="gpu", SBATCH_ARGS="--gpus-per-node=0", MEGATRON_PATH="/no/such")
    assert run.wait_for("COMPLETED", "FAILED") == "FAILED"
    for rank, node in enumerate(("node1", "node1", "node2", "node2")):
        assert f"{rank}: moe-harness: rank {rank} on {node}: no pretrain_gpt.py in MEGATRON_PATH=/no/such" in run.log
    assert "rank 2 on node2: 0 GPUs, GPUS_PER_NODE=2 were asked for" in run.log
    assert "training" not in run.log
    assert run.attempts[0].exit_code == 125
    assert set(run.codes().values()) == {125}


def test_a_run_folder_that_is_gone_is_said(submit: Submit, slurm: Cluster) -> None:
    run = submit("", prepare=lambda root: (root / "script.sh").write_text(_elsewhere(root)))
    assert run.wait_for("COMPLETED", "FAILED") == "FAILED"
    assert "RUN_DIR=/no/such is not there: is the storage of OUTPUT_PATH mounted on this node?" in run.log


def _elsewhere(root: Path) -> str:
    script = (root / "script.sh").read_text()
    return script.replace("set -euo pipefail", "set -euo pipefail\nRUN_DIR=/no/such", 1)


def test_a_job_that_holds_the_run_is_left_alone(submit: Submit) -> None:
    holder = submit("time.sleep(60)")
    holder.wait_for("RUNNING")
    holder.cluster.wait("it holds the run", holder.paths.owner.exists)
    second = holder.submit_again()
    assert second.wait_for("COMPLETED", "FAILED") == "FAILED"
    said = f"job {holder.job_id} of loopback holds this run, and Slurm does not say here that it is over"
    assert said in second.log
    assert holder.paths.owner.read_text() == f"{holder.job_id} 0 loopback\n"
    assert len(holder.attempts) == 1


def test_a_run_is_taken_over_from_a_job_that_is_over(submit: Submit) -> None:
    """One that Slurm still knows, one that it has forgotten, and one whose name was lost on a full disk."""
    run = submit("sys.exit(3)")
    run.wait_for("FAILED")
    for number, owner in enumerate((f"{run.job_id} 0 loopback\n", "99999 0 loopback\n", ""), start=1):
        run.paths.owner.write_text(owner)
        run.submit_again().wait_for("FAILED")
        assert len(run.attempts) == number + 1


@pytest.mark.parametrize("stranger", ["of another cluster", "of another user"])
def test_a_run_is_not_taken_over_from_a_job_that_this_slurm_cannot_know(submit: Submit, stranger: str) -> None:
    def hold(root: Path) -> None:
        (root / "owner").write_text(f"99999 0 {'other' if 'cluster' in stranger else 'loopback'}\n")
        if "user" in stranger:
            os.chown(root / "owner", pwd.getpwnam("nobody").pw_uid, -1)

    run = submit("say('training')", prepare=hold)
    assert run.wait_for("COMPLETED", "FAILED") == "FAILED"
    assert "job 99999 of " in run.log and "training" not in run.log


def test_cancelled_before_there_are_ranks_is_not_ended_well(submit: Submit, slow: Callable[[str], Path]) -> None:
    waits = slow("scontrol")
    run = submit("say('training')")
    run.cluster.wait("it asks scontrol", waits.exists)
    run.cluster.run("scancel", run.job_id)
    assert run.wait_for("CANCELLED", "COMPLETED") == "CANCELLED"
    run.cluster.wait("it has ended", lambda: bool(run.attempts) and run.attempts[0].exit_code is not None)
    (attempt,) = run.attempts
    assert (attempt.signals, attempt.exit_code) == (("TERM",), 143)
    assert "training" not in run.log and not run.paths.finished.exists()


def test_cancelled_while_it_considers_another_start_it_stays_so(submit: Submit, slow: Callable[[str], Path]) -> None:
    waits = slow("tail")  # it looks through its log
    run = submit(f"sys.exit('{HARDWARE}')", RETRIES=1)
    run.cluster.wait("it looks through its log", waits.exists)
    run.cluster.run("scancel", run.job_id)
    assert run.wait_for("CANCELLED", "COMPLETED", "FAILED") == "CANCELLED"
    run.cluster.wait("it has ended", lambda: run.attempts[0].exit_code is not None)
    assert [it.retry for it in run.attempts] == [None]


def test_a_rank_that_takes_its_time_is_not_ended_by_those_that_are_done(submit: Submit) -> None:
    run = submit("time.sleep(0 if rank else 5)")  # slurm.conf says WaitTime=2
    assert run.wait_for("COMPLETED", "FAILED") == "COMPLETED", run.log


def test_hardware_is_left_behind_and_training_starts_again_elsewhere(submit: Submit) -> None:
    run = submit(f"if attempt: sys.exit()\nif rank == 1: sys.exit('{HARDWARE}')\ntime.sleep(60)", RETRIES=1)
    assert run.wait_for("COMPLETED", "FAILED") == "COMPLETED", run.log
    first, second = run.attempts
    assert (first.retry, first.excluded, first.exit_code) == ("gpu-hardware", first.nodes, 1)
    assert second.nodes != first.nodes
    assert (second.restart, second.exit_code) == (1, 0)
    assert run.cluster.show(run.job_id)["Requeue"] == "0"  # it was the last one


def test_an_ordinary_user_s_job_may_do_all_of_it_and_an_operator_may_cancel_it(slurm: Cluster) -> None:
    """All else here runs as root, whom Slurm refuses nothing."""
    folder = Path(tempfile.mkdtemp(dir=slurm.jobs))
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to("/usr/bin/python3")
    program = f"if attempt: say('again'); time.sleep(60)\nif rank == 1: sys.exit('{HARDWARE}')\ntime.sleep(60)"
    paths = make_run(folder, program, RETRIES=1)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, *pwd.getpwnam("nobody")[2:4], follow_symlinks=False)
    environ = (f"RUN_DIR={paths.root}", f"PATH={folder}/bin:{os.environ['PATH']}")
    options = ("--parsable", f"--chdir={paths.root}", f"--output={paths.log}", str(paths.script))
    job_id = slurm.run("env", *environ, "sbatch", *options, user="nobody").stdout.strip()
    run = SlurmRun(cluster=slurm, paths=paths, job_id=job_id)
    run.wait_until_said("again")
    first, second = run.attempts
    assert (first.retry, first.excluded) == ("gpu-hardware", first.nodes)
    assert second.nodes != first.nodes and slurm.show(job_id)["Requeue"] == "0"
    slurm.run("scancel", job_id)
    assert run.wait_for("CANCELLED", "COMPLETED", "FAILED") == "CANCELLED"
    slurm.wait("the script has written its end", lambda: run.attempts[1].exit_code is not None)
    assert (run.attempts[1].signals, run.attempts[1].exit_code) == (("TERM",), 143)


def test_a_cause_that_stays_wins_over_one_that_passes(submit: Submit) -> None:
    run = submit(
        f"print('CUDA out of memory' if rank else '{TIMEOUT}', flush=True)\ntime.sleep(1)\nsys.exit(1)", RETRIES=2
    )
    assert run.wait_for("COMPLETED", "FAILED") == "FAILED"
    assert [it.retry for it in run.attempts] == [None]


def test_a_fault_that_was_caught_does_not_keep_what_passes_from_being_tried_again(submit: Submit) -> None:
    program = f"""
say("ModuleNotFoundError: No module named 'apex' (optional)")
if attempt: sys.exit()
time.sleep(0.5)
if rank == 0: sys.exit("{TIMEOUT}")
time.sleep(60)
"""
    run = submit(program, RETRIES=1)
    assert run.wait_for("COMPLETED", "FAILED") == "COMPLETED", run.log
    assert [it.retry for it in run.attempts] == ["nccl-timeout", None]


def test_a_node_that_slurm_lost_is_left_behind_though_it_came_back(
    slurm_programs: None, environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The start that gets it again goes back once more, which is none of the RETRIES."""
    with Cluster(nodes=3) as cluster:
        environ.setenv("SLURM_CONF", cluster.environ["SLURM_CONF"])
        program = "if attempt: sys.exit()\nsay('training')\ntime.sleep(60)"
        paths = make_run(tmp_path, program, NNODES=2, RETRIES=1)
        run = SlurmRun(cluster=cluster, paths=paths, job_id=submit_script(paths).job_id)
        run.wait_until_said("training", 4)
        cluster.set_down("node1")  # on which the script runs too
        assert run.wait_for("COMPLETED", "FAILED", timeout_s=90) == "COMPLETED", run.log
        _, back, last = run.attempts
        assert (back.retry, back.excluded, back.nodes) == ("node-failure", ("node1",), ("node1", "node2"))
        assert last.nodes == ("node2", "node3")
        assert back.ended_s and last.started_s and last.started_s - back.ended_s < 30  # it waits for no rank of that


def test_no_node_is_excluded_where_none_is_spare(submit: Submit) -> None:
    program = f"if attempt: sys.exit()\nif rank < 2: sys.exit('{TIMEOUT}')\ntime.sleep(60)"
    run = submit(program, NNODES=2, RETRIES=1)
    assert run.wait_for("COMPLETED", "FAILED") == "COMPLETED", run.log
    assert (run.attempts[0].retry, run.attempts[0].excluded) == ("nccl-timeout", ())
    assert "another attempt, without node2" in run.log  # the one whose ranks said nothing
    assert "the partition has no other node in service, so node2 is not excluded" in run.log


@pytest.mark.parametrize("why", ["drained", "chosen"])
def test_no_node_is_excluded_where_the_others_cannot_take_its_place(
    submit: Submit, slurm: Cluster, tmp_path: Path, why: str
) -> None:
    """With the node excluded the job would wait for ever."""
    if why == "drained":
        slurm.run("scontrol", "update", "nodename=node2", "state=drain", "reason=test")
    args = "--nodelist=node1" if why == "chosen" else ""
    run = submit(
        f"if attempt: sys.exit()\nif rank: sys.exit('{HARDWARE}')\ntime.sleep(60)", RETRIES=1, SBATCH_ARGS=args
    )
    assert run.wait_for("COMPLETED", "FAILED") == "COMPLETED", run.log
    assert (run.attempts[0].retry, run.attempts[0].excluded) == ("gpu-hardware", ())
    told = "may run on certain nodes only" if why == "chosen" else "no other node in service"
    assert f"{told}, so node1 is not excluded" in run.log


def test_more_starts_than_retries_allow_refuse_to_run(submit: Submit) -> None:
    run = submit("time.sleep(60 if attempt < 2 else 0)", RETRIES=1)
    for start in range(2):
        run.wait_until_said("moe-harness: node", times=start + 1)
        run.cluster.run("scontrol", "update", f"JobId={run.job_id}", "Requeue=1")
        run.cluster.run("scontrol", "requeue", run.job_id)
        run.wait_for("PENDING")
    assert run.wait_for("COMPLETED", "FAILED") == "FAILED"
    assert "this is start 3 of the job, and RETRIES allows 2" in run.log
    assert [it.exit_code for it in run.attempts][2] == 125


def test_tasks_left_behind_on_a_lost_node_end_themselves(submit: Submit) -> None:
    program = "if attempt: sys.exit()\n(run / f'pid{rank}').write_text(str(os.getpid()))\ntime.sleep(120)"
    run = submit(program, RETRIES=1)
    run.wait_until_said("moe-harness: node")
    pids = [run.paths.root / f"pid{rank}" for rank in range(2)]
    run.cluster.wait("both ranks run", lambda: all(path.exists() and path.read_text() for path in pids))
    lost = run.attempts[0].nodes[0]
    run.cluster.kill_slurmd(lost)
    assert run.wait_for("COMPLETED", "FAILED", timeout_s=90) == "COMPLETED", run.log
    first, second = run.attempts
    assert second.nodes != (lost,)
    run.cluster.wait("the old ranks are gone", lambda: not any(_runs(path) for path in pids))
    run.cluster.wait("they left a word", lambda: len(run.codes()) == 2)
    assert set(run.codes().values()) == {137}  # nobody but their fence was there to kill them
    assert (first.retry, second.exit_code) == (None, 0)  # it was Slurm that started it again


def _runs(pid: Path) -> bool:
    state = Path("/proc", pid.read_text(), "stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_ahead_of_the_time_limit_it_saves_and_the_next_start_goes_on_from_there(submit: Submit) -> None:
    program = f"say(f'argv {{sys.argv[1:]}}')\n{ENDS_ON_TERM}\nif not attempt: time.sleep(120)"
    run = submit(program, flags=SAVING, RUN_TIME="00:01:00")
    assert run.wait_for("COMPLETED", "FAILED", "TIMEOUT", timeout_s=90) == "FAILED"
    (first,) = run.attempts
    assert (first.signals, first.exit_code, first.resumed_step) == (("USR1",), 124, None)
    assert not run.paths.finished.exists()
    checkpoints = run.paths.root / "checkpoints"
    for name, files in (("iter_0000009", (".metadata",)), ("iter_0000010", ())):  # two that were not finished
        (checkpoints / name).mkdir()
        for file in files:
            (checkpoints / name / file).write_text("{}")
    again = run.submit_again()
    assert again.wait_for("COMPLETED", "FAILED") == "COMPLETED", run.log
    assert run.attempts[1].resumed_step == 7
    assert (checkpoints / "latest_checkpointed_iteration.txt").read_text() == "7\n"
    fresh, resumed = (line for line in run.log.splitlines() if line.startswith("0: argv"))
    assert fresh == f"0: argv ['--seed', '1', '--save', '{checkpoints}', '--load', '/start', '--finetune']"
    own = f"'--load', '{checkpoints}', '--exit-on-missing-checkpoint'"
    assert resumed == f"0: argv ['--seed', '1', '--save', '{checkpoints}', {own}]"


def test_scancel_lets_it_save_and_is_no_reason_to_start_again(submit: Submit) -> None:
    run = submit(f"{ENDS_ON_TERM}\nsay('ready')\ntime.sleep(60)", flags=SAVING, RETRIES=1)
    run.wait_until_said("ready", times=2)
    run.cluster.run("scancel", run.job_id)
    assert run.wait_for("CANCELLED", "COMPLETED", "FAILED") == "CANCELLED"
    run.cluster.wait("it has ended", lambda: run.attempts[0].exit_code is not None)
    (attempt,) = run.attempts
    assert (attempt.signals, attempt.exit_code, attempt.retry) == (("TERM",), 143, None)
    assert (run.paths.root / "checkpoints/iter_0000007/.metadata").exists()


def test_asked_twice_it_is_given_the_time_to_save(submit: Submit) -> None:
    """Ahead of the time limit, and then by the limit itself."""
    program = ENDS_ON_TERM.replace("    save(7)", "    say('saving')\n    time.sleep(2)\n    save(7)")
    run = submit(f"{program}\nsay('ready')\ntime.sleep(60)", flags=SAVING)
    run.wait_until_said("ready", times=2)
    run.cluster.run("scancel", "--batch", "--signal=USR1", run.job_id)
    run.wait_until_said("saving", times=2)
    run.cluster.run("scancel", run.job_id)
    assert run.wait_for("CANCELLED", "COMPLETED", "FAILED") == "CANCELLED"
    run.cluster.wait("it has ended", lambda: run.attempts[0].exit_code is not None)
    assert run.attempts[0].signals == ("USR1", "TERM")
    assert run.codes() == {0: 0, 1: 0}
    assert (run.paths.root / "checkpoints/iter_0000007/.metadata").exists()


def test_asked_to_save_as_its_last_step_ends_it_has_ended_well(submit: Submit) -> None:
    run = submit(f"{ENDS_ON_TERM}\nsay('ready')\ntime.sleep(60)", flags={**SAVING, "--train-iters": "7"})
    run.wait_until_said("ready", times=2)
    run.cluster.run("scancel", "--batch", "--signal=USR1", run.job_id)
    assert run.wait_for("COMPLETED", "FAILED") == "COMPLETED", run.log
    assert run.paths.finished.exists()


def test_preempted_with_grace_it_saves_and_comes_back(submit: Submit, slurm: Cluster) -> None:
    slurm.run("scontrol", "update", "PartitionName=low", "GraceTime=20")
    try:
        program = f"{ENDS_ON_TERM}\nsay('ready')\nif not attempt: time.sleep(60)"
        run = submit(program, flags=SAVING, RETRIES=1, NNODES=2, PARTITION="low")
        run.wait_until_said("ready", times=4)
        other = slurm.sbatch("--partition=high", "--nodes=2", "--exclusive", script="sleep 1")
        assert run.wait_for("COMPLETED", "FAILED") == "COMPLETED", run.log
        assert slurm.state(other) == "COMPLETED"
        first, second = run.attempts
        assert (first.retry, first.exit_code, second.resumed_step) == ("preemption", 143, 7)
    finally:
        slurm.run("scontrol", "update", "PartitionName=low", "GraceTime=0")

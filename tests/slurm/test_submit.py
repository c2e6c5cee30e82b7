"""Submission to a real Slurm: what users are told, and that no interruption loses a job or leaves a false record."""

import re
import signal
from pathlib import Path

import pytest
from cluster import Cluster
from launching import User, job_of, read_until


def test_slurm_gets_the_bytes_of_the_dry_run_and_the_answer_says_how_the_job_stands(user: User) -> None:
    dry = user.launch("DRY_RUN=1")
    held = user.launch("SBATCH_ARGS=--hold")
    assert held.code == 0, held.err
    job = job_of(held)
    got = user.cluster.run("scontrol", "write", "batch_script", job, "-").stdout
    assert [line for line in got.splitlines() if "--hold" not in line] == dry.out.splitlines()
    assert f"notice: job {job}: PENDING (JobHeldUser): the job is held by its user; scontrol release {job}" in held.err
    assert user.record()["job"]["job_id"] == job
    listed = user("runs", "list")
    assert "submitted (JobHeldUser)" in listed.out
    shown = user("runs", "show", job)
    assert f"{job} on loopback, PENDING (JobHeldUser): the job is held by its user" in shown.out


@pytest.mark.parametrize("cluster", ["here", ""])
def test_the_answer_names_the_run_so_that_the_next_command_finds_it(
    tmp_path: Path, slurm: Cluster, cluster: str
) -> None:
    user = User(tmp_path / "home", slurm, tmp_path / "storage")
    answer = user.launch("SBATCH_ARGS=--hold", CLUSTER=cluster)
    (name,) = re.findall(r"^moe-harness runs watch (\S+) follows it$", answer.err, re.MULTILINE)
    assert name == (user.record()["run_id"] if cluster else str(next(user.output.glob("Mixtral-*"))))
    assert user("runs", "show", name, environ={"CLUSTER": cluster}).code == 0


@pytest.mark.parametrize(
    ("word", "reason", "fix"),
    [
        ("RUN_TIME=5:00:00", "PartitionTimeLimit", "lower RUN_TIME"),
        ("NNODES=4 MBS=1", "PartitionNodeLimit", "change NNODES"),
        ("SBATCH_ARGS=--dependency=afterok:{failed}", "DependencyNeverSatisfied", "submit without --dependency"),
    ],
)
def test_a_job_that_can_never_start_is_cancelled_at_once(user: User, word: str, reason: str, fix: str) -> None:
    if "{failed}" in word:
        failed = user.cluster.sbatch(script="exit 3")
        user.cluster.wait_for(failed, "FAILED")
        word = word.format(failed=failed)
    answer = user.launch(*word.split())
    assert answer.code == 2
    job = job_of(answer)
    (error,) = answer.errors
    assert error.startswith(f"job {job} could never start, and was cancelled: {reason}, ")
    assert f"; {fix}" in error and "--keep leaves such a job in the queue" in error
    assert user.cluster.state(job) == "CANCELLED"
    record = user.record()
    assert (record["status"], record["error"]["cause"]["evidence"]) == ("cancelled", reason)


def test_a_job_that_could_not_be_cancelled_is_not_told_as_cancelled(user: User) -> None:
    user.wrap("scancel", "#!/bin/sh\necho 'scancel: error: Socket timed out' >&2\nexit 1\n")
    answer = user.launch("RUN_TIME=5:00:00")
    assert answer.code == 2
    job = job_of(answer)
    (error,) = answer.errors
    assert error.startswith(
        f"job {job} can never start, and could not be cancelled (Socket timed out; moe-harness runs cancel {job} tries"
        " again): PartitionTimeLimit, RUN_TIME is longer than the partition allows"
    )
    assert (user.cluster.state(job), user.record()["status"]) == ("PENDING", "submitted")


def test_keep_leaves_a_hopeless_job_in_the_queue(user: User) -> None:
    answer = user.launch("RUN_TIME=5:00:00", "--keep")
    assert answer.code == 0
    assert "PENDING (PartitionTimeLimit): RUN_TIME is longer than the partition allows" in answer.err
    assert user.cluster.state(job_of(answer)) == "PENDING"
    assert user.record()["status"] == "submitted"


def test_what_sbatch_refuses_is_told_with_its_words_and_the_fix_and_leaves_nothing(user: User) -> None:
    answer = user.launch("PARTITION=nope")
    assert answer.code == 2
    assert answer.errors[0].startswith("sbatch refused the job (exit 1): sbatch: error: invalid partition specified")
    assert answer.errors[-1].endswith("; set PARTITION to one that `sinfo -s` lists")
    assert not list(user.output.rglob("*.json"))


def test_an_account_or_quality_of_service_that_is_not_ours(
    slurm_programs: None, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    refused = (
        ("ACCOUNT=nope", "Invalid account", "set ACCOUNT to one that `sacctmgr show"),
        ("ACCOUNT=others", "Invalid account", "set ACCOUNT to one that `sacctmgr show"),
        ("SBATCH_ARGS=--qos=nope", "Invalid qos specification", "give --qos in SBATCH_ARGS as `sacctmgr show"),
        ("NNODES=2 MBS=1 SBATCH_ARGS=--qos=small", "QOSMaxNodePerJobLimit", "lower NNODES"),
    )
    with Cluster(limits=True) as limited:
        user = User(tmp_path, limited)
        for words, said, fix in refused:
            with subtests.test(words):
                answer = user.launch(*words.split())
                assert answer.code == 2
                assert said in answer.err and fix in answer.err
                assert limited.run("squeue", "--noheader").stdout == ""


@pytest.mark.parametrize("ending", ["exit 1", "kill -KILL $PPID"])
def test_a_job_whose_submission_was_cut_short_is_found_by_its_folder(user: User, ending: str) -> None:
    said = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
    user.wrap("sbatch", f'#!/bin/bash\n{{program}} "$@" >/dev/null\necho "{said}" >&2\n{ending}\n')
    answer = user.launch("SBATCH_ARGS=--hold")
    (job,) = user.cluster.run("squeue", "--noheader", "--format=%i").stdout.split()
    if ending == "exit 1":
        assert answer.code == 0 and job_of(answer) == job
    else:
        assert user.record()["job"]["job_id"] is None
    assert "submitted (JobHeldUser)" in user("runs", "list").out
    record = user.record()
    assert (record["status"], record["job"]["job_id"]) == ("submitted", job)


def test_submit_wait_follows_to_the_end_and_ends_as_the_run_does(user: User) -> None:
    good = user.launch("SUBMIT_WAIT=1", "NNODES=2")
    assert good.code == 0, good.err
    assert "step 6/6  loss 9.4000  200.0 ms  1.5 TFLOP/s/GPU" in good.err
    assert "status                            completed" in good.out
    bad = user.launch("SUBMIT_WAIT=1", FAIL="1@3")
    assert bad.code == 1
    assert "exit code                         1 of rank 1" in bad.out
    assert "\nValueError: as planned\nrecord: " in bad.out


def test_a_job_that_becomes_hopeless_ends_the_watching(user: User) -> None:
    first = user.cluster.sbatch("--hold", script="exit 3")
    job = job_of(user.launch(f"SBATCH_ARGS=--dependency=afterok:{first}"))
    watching = user.start("runs", "watch", "--every", "0.5")
    read_until(watching, "(Dependency)")
    user.cluster.run("scontrol", "release", first)
    _, said = watching.communicate(timeout=60)
    assert watching.returncode == 1
    assert f"it can never start; moe-harness runs cancel {job} ends it" in said
    assert (user.cluster.state(job), user.record()["status"]) == ("PENDING", "submitted")


def test_a_job_that_becomes_hopeless_while_its_launch_waits_is_cancelled(user: User) -> None:
    first = user.cluster.sbatch("--hold", script="exit 3")
    waiting = user.start(*user.launch_words(f"SBATCH_ARGS=--dependency=afterok:{first}", "SUBMIT_WAIT=1"))
    read_until(waiting, "(Dependency)")
    user.cluster.run("scontrol", "release", first)
    _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 1
    job = user.record()["job"]["job_id"]
    assert f"job {job} could never start, and was cancelled: DependencyNeverSatisfied, " in said
    assert (user.cluster.state(job), user.record()["status"]) == ("CANCELLED", "cancelled")


def test_a_run_that_has_trained_before_it_became_hopeless_is_told_with_what_it_came_to(user: User) -> None:
    waiting = user.start(*user.launch_words("RETRIES=2", "SUBMIT_WAIT=1"), HOLD="4")
    read_until(waiting, "step 4/6")
    job = user.record()["job"]["job_id"]
    failed = user.cluster.sbatch("--oversubscribe", script="exit 3")
    user.cluster.wait_for(failed, "FAILED")
    user.cluster.run("scontrol", "requeue", job)
    user.cluster.wait_for(job, "PENDING")
    user.cluster.run("scontrol", "update", f"jobid={job}", f"dependency=afterok:{failed}")
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 1
    assert f"job {job} could never start, and was cancelled: DependencyNeverSatisfied, " in err
    record = user.record()
    assert (record["status"], record["error"]["cause"]["name"]) == ("cancelled", "never-starts")
    assert [sample["iteration"] for sample in user.samples()] == [1, 2, 3, 4] and "step time" in out


def test_ctrl_c_leaves_the_job_and_says_how_to_go_on(user: User) -> None:
    following = user.start(*user.launch_words("SUBMIT_WAIT=1"), HOLD="2")
    read_until(following, "step 2/6")
    following.send_signal(signal.SIGINT)
    _, said = following.communicate(timeout=20)
    assert following.returncode == 130
    run_id = user.record()["run_id"]
    assert f"{run_id} goes on; moe-harness runs watch {run_id} follows it again" in said
    user.go.touch()
    watched = user("runs", "watch", "--every", "0.3")
    assert watched.code == 0, watched.err
    assert user.record()["status"] == "completed"

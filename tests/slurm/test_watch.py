"""Following, cancelling and settling runs on a real Slurm, through the faults that such a site knows."""

import fcntl
import json
import os
import re
import select
import shutil
import signal
import struct
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
from cli_command import start_moe_harness
from cluster import Cluster
from launching import User, job_of, read_until
from small_disk import small_disk

from harness.launch.processes import processes_of

WATCH = ("runs", "watch", "--every", "0.3")


def test_watching_outlives_slurmctld_and_a_launch_without_it_leaves_nothing(tmp_path: Path) -> None:
    with Cluster() as own:  # a job that ends while slurmctld is away is long in telling it
        user = User(tmp_path, own)
        user.launch(HOLD="2")
        watching = user.start(*WATCH)
        read_until(watching, "step 2/6")
        own.stop_slurmctld()
        refused = user.launch("RUN_NAME=refused")
        assert refused.code == 2
        assert "Unable to contact slurm controller" in refused.err and "slurmctld does not answer" in refused.err
        assert not list(user.output.rglob("refused*"))
        said = read_until(watching, "Slurm does not answer")
        user.go.touch()
        out, rest = watching.communicate(timeout=60)  # its script has noted that it ended well: that is enough
        said += rest
        assert watching.returncode == 0, said
        assert said.count("Slurm does not answer") == 1 and "step 6/6" in said
        assert "status                            completed" in out


def test_several_runs_are_followed_together_by_name_and_end_with_their_causes(user: User) -> None:
    user.launch("RUN_NAME=good", "SBATCH_ARGS=--oversubscribe", HOLD="1")
    user.launch("RUN_NAME=bad", "SBATCH_ARGS=--oversubscribe", FAIL="0@4", HOLD="1")
    watching = user.start(*WATCH)
    said = read_until(watching, "step 1/6") + read_until(watching, "step 1/6")
    user.go.touch()
    out, rest = watching.communicate(timeout=60)
    said += rest
    assert watching.returncode == 1
    assert {line.split("-")[0] for line in said.splitlines() if ": step 1/6" in line} == {"good", "bad"}
    assert "cause" in out and "ValueError: as planned" in out
    assert out.index("run   ") < out.index("bad-")
    listed = json.loads(user("runs", "list", "--status", "failed", "--json").out)
    assert [row["run_id"].split("-")[0] for row in listed] == ["bad"]


def test_on_a_terminal_the_steps_are_a_bar(user: User) -> None:
    user.launch(HOLD="3")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours, "rb", buffering=0) as screen:
        watching = start_moe_harness(*WATCH, here=user.folder, environ=user.environ, output=terminal)
        said = read_screen(screen, "3/6")
        user.go.touch()
        said += read_screen(screen, "record: ")
        assert watching.wait(timeout=60) == 0
    assert re.search(r"\r *50%\|█+ *\| 3/6 \[.*loss 9\.7000", said), said
    assert "step 3/6" not in said and "status                            completed" in said


def read_screen(screen: IO[bytes], text: str) -> str:
    """What a terminal showed until it showed this."""
    said = ""
    while text not in said:
        assert select.select([screen], [], [], 60)[0], f"never showed {text!r}:\n{said}"
        said += screen.read(4096).decode(errors="replace")
    return said


def test_cancel_waits_until_it_is_true(user: User) -> None:
    job = job_of(user.launch(HOLD="1"))
    user.wait("it runs", lambda: "running" in user("runs", "list").out)
    answer = user("runs", "cancel", job)
    assert answer.code == 0, answer.err
    assert answer.out.endswith(f": cancelled (job {job})\n")
    assert user.cluster.state(job) == "CANCELLED"
    record = user.record()
    assert record["status"] == "cancelled" and record["ended"] is not None
    again = user("runs", "cancel", job)
    assert again.code == 1 and "has already ended, cancelled" in again.err
    assert user("runs", "cancel", "--all").out.startswith("no Slurm run in ")


def test_what_has_ended_meanwhile_keeps_no_other_run_from_being_cancelled(user: User) -> None:
    done = job_of(user.launch("RUN_NAME=done"))
    user.cluster.wait_for(done, "COMPLETED")
    job_of(user.launch("RUN_NAME=held", "SBATCH_ARGS=--hold"))
    answer = user("runs", "cancel", "--all")  # of the one that is done it does not know yet
    assert answer.code == 0, answer.err
    assert answer.out.startswith("held-") and "has already ended, completed" in answer.err
    (record,) = (json.loads(path.read_text()) for path in user.output.glob("held-*/record.json"))
    assert (record["status"], record["started"], record["attempts"]) == ("cancelled", None, [])


def test_a_job_of_another_user_is_named_and_left_alone(user: User) -> None:
    job = user.cluster.sbatch(script="sleep 60", user="nobody")
    for verb in ("show", "watch", "cancel"):
        answer = user("runs", verb, job)
        assert answer.code == 2
        assert f"{job}: no run in {user.output} has this job; to Slurm it is nobody's" in answer.err
    assert user.cluster.state(job) in ("PENDING", "RUNNING")
    unknown = user("runs", "show", "999999")
    assert unknown.code == 2 and "Slurm does not know it either" in unknown.err


def test_a_removed_folder_loses_no_run(user: User) -> None:
    job = job_of(user.launch("SBATCH_ARGS=--hold"))
    folder = user.run_folder
    shutil.rmtree(folder)
    listed = user("runs", "list")
    assert folder.name in listed.out and f"{folder} was removed before the run had ended" in listed.err
    assert user.record()["job"]["job_id"] == job
    assert user("runs", "cancel", folder.name).code == 0
    assert user.record()["status"] == "cancelled"
    assert not list(user.output.glob(".submitted/*"))


def test_a_full_disk_delays_the_record_but_not_the_truth(user: User, tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m") as disk:
        on_disk = User(tmp_path / "other", user.cluster, output=disk)
        job = job_of(on_disk.launch(HOLD="2"))
        on_disk.wait("it runs", lambda: "running" in on_disk("runs", "list").out)
        (disk / "rubbish").write_bytes(b"0" * 600_000)
        with pytest.raises(OSError), (disk / "more").open("wb", buffering=0) as more:
            while True:
                more.write(b"0" * 4096)
        user.cluster.run("scancel", job)
        user.cluster.wait_for(job, "CANCELLED")
        full = on_disk("runs", "list")
        assert full.code == 1
        assert "cannot write the run's record: No space left on device" in full.err
        assert "cancelled" in full.out
        assert on_disk.record()["status"] == "running"
        (disk / "rubbish").unlink()
        assert on_disk("runs", "list").code == 0
        assert on_disk.record()["status"] == "cancelled"


def test_what_slurm_has_forgotten_is_judged_by_its_own_facts(tmp_path: Path, slurm: Cluster) -> None:
    good, killed = (User(tmp_path / name, slurm) for name in ("good", "killed"))
    job = job_of(good.launch())
    slurm.wait_for(job, "COMPLETED")
    lost = job_of(killed.launch(HOLD="1"))
    killed.wait("it runs", lambda: "running" in killed("runs", "list").out)
    folder = killed.run_folder
    for pid in processes_of(folder):  # the batch shell too: nothing is left to write down the end
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    slurm.wait_for(lost, "FAILED")
    forget_all_jobs(slurm)
    assert (good.record()["status"], killed.record()["status"]) == ("submitted", "running")
    taken = slurm.sbatch("--hold", script="true")  # the counter began anew: an old id is another job's now
    assert int(taken) <= int(job)
    good("runs", "list"), killed("runs", "list")
    assert (good.record()["status"], len(good.samples())) == ("completed", 6)
    assert killed.record()["status"] == "running"  # it holds its run, and was heard of just now
    an_hour_ago = time.time() - 3600
    os.utime(folder / "log", (an_hour_ago, an_hour_ago))
    killed("runs", "list")
    record = killed.record()
    assert (record["status"], record["error"]["cause"]["name"]) == ("failed", "lost")
    assert f"Slurm no longer knows job {lost}" in record["error"]["cause"]["text"]


def forget_all_jobs(cluster: Cluster) -> None:
    """What MinJobAge does after minutes, and a lost StateSaveLocation at once."""
    cluster.stop_slurmctld()
    for path in (cluster.folder / "state").glob("job_state*"):
        path.unlink()
    cluster.start_slurmctld()


def test_accounting_tells_who_cancelled_and_outlives_slurmctld_s_memory(
    tmp_path: Path, slurm_accounting: Cluster
) -> None:
    user = User(tmp_path, slurm_accounting)
    job = job_of(user.launch(HOLD="1"))
    user.wait("it runs", lambda: "running" in user("runs", "list").out)
    slurm_accounting.run("scancel", job)
    slurm_accounting.wait_for(job, "CANCELLED")
    slurm_accounting.wait(
        "accounting knows",
        lambda: "by 0" in slurm_accounting.run("sacct", "-X", "-n", "-j", job, "-o", "state%30").stdout,
    )
    assert user.reconciled()["attempts"][-1]["state"] == "CANCELLED by root"


def test_lost_accounting_changes_nothing_for_a_running_job(tmp_path: Path, slurm_accounting: Cluster) -> None:
    user = User(tmp_path, slurm_accounting)
    user.launch(HOLD="2")
    watching = user.start(*WATCH)
    read_until(watching, "step 2/6")
    slurm_accounting.stop_slurmdbd()
    user.go.touch()
    _, said = watching.communicate(timeout=60)
    assert watching.returncode == 0, said
    assert user.record()["status"] == "completed"

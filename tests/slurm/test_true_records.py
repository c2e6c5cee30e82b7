"""Records end true, whoever looks when, from where, and by whatever path."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from launching import User, job_of


def by_hand(user: User, folder: Path) -> str:
    """The run's script handed to sbatch as docs/slurm.md says, in a shell; the job's id."""
    words = f"cd '{folder}' && RUN_DIR=$PWD sbatch --parsable --output=\"$PWD/log\" script.sh"
    environ = (f"{name}={value}" for name, value in user.environ.items())
    return user.cluster.run("env", *environ, "bash", "-c", words).stdout.strip()


def test_resubmitted_before_anyone_looked_it_is_followed_to_its_end(user: User) -> None:
    first = job_of(user.launch(FAIL="0@2"))
    user.cluster.wait_for(first, "FAILED")
    folder = user.run_folder
    user.environ["HOLD"] = "3"
    second = by_hand(user, folder)
    user.cluster.wait("it runs", lambda: len(list(folder.glob("attempts/*"))) == 2)
    listed = user("runs", "list")
    assert "running" in listed.out and user.record()["job"]["job_id"] == second
    user.go.touch()
    record = user.reconciled()
    assert record["status"] == "completed"
    assert [(it["job_id"], it["state"]) for it in record["attempts"]] == [(first, "FAILED"), (second, "COMPLETED")]


def test_a_folder_reached_by_a_link_is_the_same_folder(tmp_path: Path, slurm: Cluster) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    user = User(tmp_path / "home", slurm, tmp_path / "link/my runs")
    slurm.wait_for(job_of(user.launch(FAIL="0@2")), "FAILED")
    folder = user.run_folder
    user.environ["HOLD"] = "3"
    second = by_hand(user, folder)
    slurm.wait("it runs", lambda: len(list(folder.glob("attempts/*"))) == 2)
    user("runs", "list")
    assert user.record()["status"] == "running"
    user.go.touch()
    slurm.wait_for(second, "COMPLETED")
    assert user.reconciled()["status"] == "completed"


def test_another_cluster_that_sees_the_storage_ends_no_run(user: User) -> None:
    """Neither one that runs nor one that waits; where it is the home of the run all is as before."""
    running = job_of(user.launch("RUN_NAME=running", HOLD="2"))
    job_of(user.launch("RUN_NAME=held", "SBATCH_ARGS=--hold"))
    user.wait("it runs", lambda: "running  " in user("runs", "list", "--status", "running").out)
    with Cluster(name="other", nodes=1) as other:
        there = {"SLURM_CONF": other.environ["SLURM_CONF"]}
        listed = user("runs", "list", environ=there)
        assert "Slurm does not answer (--clusters=loopback" in listed.err
        assert statuses(user) == {"running": "running", "held": "submitted"}
        assert user("runs", "cancel", "running-", environ=there).code == 1
    user.go.touch()
    user.cluster.wait_for(running, "COMPLETED")
    assert user("runs", "cancel", "held-").code == 0
    user("runs", "list")
    assert statuses(user) == {"running": "completed", "held": "cancelled"}


def statuses(user: User) -> dict[str, str]:
    """Of each run by its name."""
    records: list[dict[str, Any]] = [json.loads(path.read_text()) for path in user.output.glob("*/record.json")]
    return {record["run_id"].partition("-")[0]: record["status"] for record in records}


def test_a_job_whose_log_cannot_be_opened_says_so(user: User) -> None:
    """As where the storage of OUTPUT_PATH is not mounted on the node, or is full."""
    job = job_of(user.launch("SBATCH_ARGS=--hold"))
    folder = user.run_folder
    (folder / "log").mkdir()
    user.cluster.run("scontrol", "release", job)
    user.cluster.wait_for(job, "FAILED")
    error = user.reconciled()["error"]
    assert error["cause"]["name"] == "not-started"
    assert str(folder) in error["cause"]["change"] and "node" in error["cause"]["change"]


def test_a_damaged_record_of_a_run_under_way_is_written_anew(user: User) -> None:
    job = job_of(user.launch(HOLD="2"))
    (path,) = user.output.glob("*/record.json")
    path.write_text('{"schema_version": 2, "run')
    listed = user("runs", "list")
    assert path.parent.name in listed.out and listed.err == ""
    user.go.touch()
    user.cluster.wait_for(job, "COMPLETED")
    assert user.reconciled()["status"] == "completed"


@pytest.mark.parametrize("moment", ["sbatch", "first word"])
def test_ctrl_c_at_a_launch_says_how_to_find_the_job(user: User, moment: str) -> None:
    if moment == "sbatch":
        user.wrap("sbatch", '#!/bin/bash\ntouch {folder}/asked\n{program} "$@"\nsleep 2\n')
    else:
        user.wrap("squeue", '#!/bin/bash\ntouch {folder}/asked\nsleep 2\nexec {program} "$@"\n')
    launching = user.start(*user.launch_words())
    user.wait("Slurm is asked", (user.folder / "asked").exists)
    launching.send_signal(signal.SIGINT)
    _, err = launching.communicate(timeout=30)
    assert launching.returncode == 130
    (name,) = user.output.glob("Mixtral-*")
    assert f"moe-harness runs watch {name.name} " in err
    assert user("runs", "watch", name.name, "--every", "0.3").code == 0

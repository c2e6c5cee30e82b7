"""Conversions as jobs of a real Slurm: listed, shown, followed, cancelled, and told of where they are killed."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from cli_command import Answer
from launching import User, job_of, read_until
from tiny_models import make_tiny

from harness.launch.processes import processes_of

SLOW_DISK = {"PYTHONPATH": str(Path(__file__).parents[1] / "slow_disk"), "SLOW_WRITES_S": "1"}


@pytest.fixture
def source(user: User) -> Path:
    """A tiny model in the user's folder."""
    return make_tiny("Mixtral", user.folder / "hf", dtype="bf16")


def convert(user: User, *words: str, **environ: str) -> Answer:
    """`convert` as a job of one thread."""
    return user("convert", "hf", "target", "--on", "slurm", "--threads", "1", *words, environ=environ)


def under_way(user: User) -> dict[str, Any]:
    """The record of the conversion once its program writes."""
    user.wait("the program to write", lambda: "converted bytes" in (user.run_folder / "log").read_text())
    user("runs", "list")
    return user.record()


@pytest.mark.usefixtures("source")
def test_it_is_followed_to_its_end_listed_and_shown(user: User) -> None:
    submitted = convert(user)
    job_id = job_of(submitted)
    followed = user("runs", "watch", "--every", "0.3")
    assert followed.code == 0, followed.err
    record = user.reconciled()
    assert (record["kind"], record["status"], record["job"]["job_id"]) == ("conversion", "completed", job_id)
    assert record["hosts"] and record["versions"]["python"]
    result = record["result"]
    assert result["done_bytes"] == result["total_bytes"] and result["elapsed_s"] > 0
    assert [attempt["state"] for attempt in record["attempts"]] == ["COMPLETED"]
    shown = user("runs", "show", job_id).out
    assert "Mixtral" in shown and f"{user.folder}/target (torch_dist, BF16)" in shown
    assert json.loads(user("runs", "list", "--json").out)[0]["target"] == f"{user.folder}/target"
    assert user("convert", "verify", "hf", "target").code == 0


@pytest.mark.usefixtures("source")
def test_it_is_cancelled_and_the_next_one_goes_on(user: User) -> None:
    job_id = job_of(convert(user, **SLOW_DISK))
    watching = user.start("runs", "watch", "--every", "0.3")
    read_until(watching, "MiB")
    assert under_way(user)["status"] == "running"
    cancelled = user("runs", "cancel", job_id)
    assert cancelled.code == 0, cancelled.err
    watching.communicate(timeout=60)
    assert watching.returncode == 1
    assert user.record()["status"] == "cancelled"
    assert not (user.folder / "target").exists()
    again = convert(user)
    assert user("runs", "watch", "--every", "0.3", job_of(again)).code == 0
    assert user("convert", "verify", "hf", "target").code == 0


def is_converter(pid: int) -> bool:
    """Whether a process is the program itself, and not a shell that has its command line among its own."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return words[1:4] == [b"-m", b"harness", b"convert"]


@pytest.mark.usefixtures("source")
def test_a_killed_one_tells_why(user: User) -> None:
    job_id = job_of(convert(user, **SLOW_DISK))
    under_way(user)
    (program,) = (pid for pid in processes_of(user.run_folder) if is_converter(pid))
    os.kill(program, signal.SIGKILL)
    record = user.reconciled()
    assert (record["status"], record["error"]["exit_code"]) == ("failed", 137)
    assert record["error"]["cause"]["name"] == "killed"
    assert "killed: " in user("runs", "show", job_id).out

"""What squeue and sacct are asked, by stand-ins that take the words of the real ones, and answer as these ask."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.launch.slurm.job_state import JobState, SubmittedIn
from harness.launch.slurm.queue import ask, find_by_folder

type Program = Callable[[str, str], Path]

SQUEUE = f"""#!{sys.executable}
import argparse
parser = argparse.ArgumentParser(allow_abbrev=False)
for word in ("--jobs", "--user", "--states", "--format"):
    parser.add_argument(word, default="")
parser.add_argument("--noheader", action="store_true")
parser.add_argument("--array", action="store_true")
asked = parser.parse_args()
jobs = [  # id as shown, its own, its array's, state, start, end, reason, nodes, user, folder
    dict(zip("iAFTSerNuZ", row.split()))
    for row in (
        "7 7 7 RUNNING 100 900 None node1 ann /runs/7",
        "8_1 9 8 PENDING N/A N/A Priority - ann /runs/8",
        "6 6 6 COMPLETED 10 20 None node2 ann /runs/6",
        "4 4 4 FAILED 30 40 NonZeroExitCode node2 ann /runs/4",
    )
]
if not asked.noheader:
    print("|".join(["HEADING"] * 10))
for job in jobs:
    if not asked.array and "_" in job["i"]:
        job["i"] = job["F"] + "_[1-4]"
    known = not asked.jobs or {{job["i"], job["A"], job["F"]}} & set(asked.jobs.split(","))
    if known and (asked.states == "all" or job["T"] in ("RUNNING", "PENDING")):
        print("|".join(job[field.removeprefix("%")] for field in asked.format.split("|")).replace("|-|", "||"))
"""
SACCT = f"""#!{sys.executable}
import argparse, time
parser = argparse.ArgumentParser(allow_abbrev=False)
for word in ("--jobs", "--user", "-o"):
    parser.add_argument(word, default="")
parser.add_argument("--starttime", type=lambda text: time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
for word in ("-X", "-n", "-P", "-D"):
    parser.add_argument(word, action="store_true")
asked = parser.parse_args()
names = "JobID JobIDRaw State ExitCode Start End NodeList User WorkDir".split()
starts = [
    dict(zip(names, row.split()))
    for row in (
        "6 6 NODE_FAIL 1:0 1 5 node3 ann /runs/6",
        "6 6 COMPLETED 0:0 10 20 node2 ann /runs/6",
        "5 5 FAILED 3:0 2 4 node2 ann /runs/5",
    )
]
if not asked.n:
    print("|".join(asked.o.split(",")))
for start in starts if asked.D else starts[1:]:
    if not asked.jobs or start["JobID"] in asked.jobs.split(","):
        print(("|" if asked.P else " ").join(start[name] for name in asked.o.split(",")))
        if not asked.X:
            step = dict(start, JobID=start["JobID"] + ".batch", WorkDir="")
            print("|".join(step[name] for name in asked.o.split(",")))
"""


@pytest.fixture(autouse=True)
def slurm(program: Program) -> None:
    program("squeue", SQUEUE)
    program("sacct", SACCT)
    program("scontrol", '#!/bin/sh\necho "JobId=$4 JobState=FAILED ExitCode=7:0"\n')


def seen(state: JobState) -> tuple[object, ...]:
    return state.state, state.reason, state.nodes, state.started_s, state.ended_s, state.exit_code, state.user


def test_jobs_are_known_by_any_of_their_ids_with_all_that_is_told_of_them() -> None:
    view = ask(["4", "5", "6", "7", "8_1", "99"])
    assert view.unreachable is None
    assert {job_id: seen(state) for job_id, state in view.states.items()} == {
        "4": ("FAILED", "NonZeroExitCode", ("node2",), 30, 40, 7, "ann"),
        "5": ("FAILED", None, ("node2",), 2, 4, 3, "ann"),
        "6": ("COMPLETED", None, ("node2",), 10, 20, 0, "ann"),
        "7": ("RUNNING", None, ("node1",), 100, None, None, "ann"),
        "8_1": ("PENDING", "Priority", (), None, None, None, "ann"),
    }
    assert ask(["9"]).states["9"].state == "PENDING"
    assert [state.state for state in view.history["6"]] == ["NODE_FAIL", "COMPLETED"]


def test_jobs_are_known_by_where_they_were_submitted() -> None:
    """By their folder, and tasks of an array by their index in it too."""
    since = {
        SubmittedIn("/runs/5"): 1_700_000_000,
        SubmittedIn("/runs/7"): 1_700_000_100,
        SubmittedIn("/runs/8", 1): 1_700_000_200,
        SubmittedIn("/runs/8", 2): 1_700_000_200,
        SubmittedIn("/runs/8"): 1_700_000_200,
        SubmittedIn("/runs/none"): 1_700_000_000,
    }
    found = find_by_folder(since)
    assert found.unreachable is None
    assert {where: state.job_id for where, state in found.jobs.items()} == {
        SubmittedIn("/runs/5"): "5",
        SubmittedIn("/runs/7"): "7",
        SubmittedIn("/runs/8", 1): "8_1",
    }

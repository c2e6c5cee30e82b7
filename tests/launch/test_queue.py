"""Slurm's answers as they were recorded (22.05.8), and what is made of silence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.launch.slurm import command as slurm_command
from harness.launch.slurm.hostlist import expand_hosts
from harness.launch.slurm.job_state import SubmittedIn
from harness.launch.slurm.pending_reasons import find_reason
from harness.launch.slurm.queue import ask, find_by_folder

type Program = Callable[[str, str], Path]

SQUEUE = """#!/bin/bash
echo "$@" >>"${0%/*}/asked"
cat <<'END'
5|5|5|PENDING|N/A|N/A|PartitionDown||root|/runs/a
17_0|19|17|COMPLETED|1795282048|1795282050|None|node1|root|/runs/b
17_2|17|17|PENDING|N/A|N/A|JobArrayTaskLimit||root|/runs/c
16|16|16|PENDING|1795282065|1795285665|BeginTime||root|/runs/d|e f
20|20|20|RUNNING|1795282049|1795285649|None|node[1-2,07-08]|alice|/runs/f
22|22|22|PENDING|N/A|N/A|ReqNodeNotAvail, UnavailableNodes:node[1-2]||root|/runs/g
23|23|23|FAILED|1795282048|1795282049|JobLaunchFailure|node1|root|/runs/h
END
"""
NO_ACCOUNTING = "#!/bin/sh\necho 'Slurm accounting storage is disabled' >&2\nexit 1\n"
SACCT = """#!/bin/bash
cat <<'END'
30|30|NODE_FAIL|1:0|1795282000|1795282010|node[1-2]|alice|/runs/i
30|30|CANCELLED by 0|0:15|1795282100|1795282110|node1|alice|/runs/i
31|31|RUNNING|0:0|1795282100|Unknown|node1|alice|/runs/j
32|32|PENDING|0:0|Unknown|Unknown|None assigned|alice|/runs/k
END
"""
SCONTROL = "#!/bin/sh\necho 'JobId=23 JobState=FAILED Reason=JobLaunchFailure ExitCode=0:53 RunTime=00:00:01'\n"


@pytest.fixture
def slurm(program: Program) -> Program:
    program("squeue", SQUEUE)
    program("sacct", NO_ACCOUNTING)
    program("scontrol", SCONTROL)
    return program


def test_one_call_tells_of_all_jobs(slurm: Program, tmp_path: Path) -> None:
    view = ask(["5", "17_0", "16", "20", "22", "99"])
    assert view.unreachable is None and "99" not in view.states
    assert (tmp_path / "bin" / "asked").read_text().count("\n") == 1
    running = view.states["20"]
    assert (running.state, running.ended, running.pending, running.user) == ("RUNNING", False, False, "alice")
    assert running.nodes == ("node1", "node2", "node07", "node08")
    assert (running.started_s, running.ended_s) == (1795282049, None)  # not when the time limit will end it
    assert view.states["22"].reason == "ReqNodeNotAvail, UnavailableNodes:node[1-2]"
    put_off = view.states["16"]
    assert (put_off.pending, put_off.started_s, put_off.work_dir) == (True, 1795282065, "/runs/d|e\u2028f")
    assert view.states["5"].started_s is None


def test_a_task_of_an_array_is_known_by_both_its_ids(slurm: Program) -> None:
    states = ask(["17_0", "19", "17_2"]).states
    assert states["17_0"].ended and states["17_0"].job_id == "17_0"
    assert states["19"].work_dir == "/runs/b"
    assert states["17_2"].reason == "JobArrayTaskLimit"


def test_without_accounting_scontrol_tells_the_exit_code(slurm: Program) -> None:
    failed = ask(["23"]).states["23"]
    assert (failed.state, failed.ended, failed.exit_code) == ("FAILED", True, 128 + 53)


def test_accounting_tells_every_start_and_who_cancelled(slurm: Program) -> None:
    slurm("sacct", SACCT)
    view = ask(["30", "31", "32"])
    first, last = view.history["30"]
    assert (first.state, first.nodes, first.exit_code) == ("NODE_FAIL", ("node1", "node2"), 1)
    assert view.states["30"] == last
    assert (last.state_text, last.exit_code) == ("CANCELLED by root", 143)
    # The controller has forgotten them, so they are not running, whatever accounting missed.
    assert not view.states.keys() & {"31", "32"}


def test_an_unknown_id_is_an_answer_and_silence_is_none(slurm: Program) -> None:
    slurm("squeue", "#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2\nexit 1\n")
    assert ask(["99"]).unreachable is None
    down = "Unable to contact slurm controller (connect failure)"
    slurm("squeue", f"#!/bin/sh\necho 'slurm_load_jobs error: {down}' >&2\nexit 1\n")
    assert ask(["99"]).unreachable == down
    assert find_by_folder({SubmittedIn("/runs/a"): 0}).unreachable == down
    slurm("sacct", SACCT)
    view = ask(["30", "31"])
    assert view.unreachable == down and view.states.keys() == {"30"}  # an end is an end, whoever tells


def test_one_word_that_is_no_job_s_id_makes_no_other_job_unknown(slurm: Program) -> None:
    slurm("squeue", "#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2\nexit 1\n")
    assert ask(["98", "99"]).unreachable == "Invalid job id specified"


def test_accounting_that_does_not_answer_may_know_what_the_controller_has_forgotten(slurm: Program) -> None:
    slurm("sacct", "#!/bin/sh\necho 'sacct: error: Sending PersistInit msg: Connection refused' >&2\nexit 1\n")
    assert ask(["5", "99"]).unreachable == "sacct: error: Sending PersistInit msg: Connection refused"
    assert ask(["5", "23"]).unreachable is None  # the controller knows both


def test_another_cluster_is_asked_by_its_name(slurm: Program, tmp_path: Path) -> None:
    slurm("scontrol", "#!/bin/sh\necho 'ClusterName             = alps'\n")
    ask(["5"], cluster="alps")
    ask(["5"], cluster="jura")
    asked = (tmp_path / "bin/asked").read_text().splitlines()
    assert "--clusters" not in asked[0] and "--clusters=jura" in asked[1]
    slurm("squeue", "#!/bin/sh\necho \"squeue: error: 'jura' can't be reached now\" >&2\nexit 1\n")
    assert ask(["5"], cluster="jura").unreachable == "--clusters=jura squeue: error: 'jura' can't be reached now"


def test_a_controller_that_hangs_is_given_up(slurm: Program) -> None:
    slurm("squeue", "#!/bin/sh\nexec sleep 60\n")
    assert ask(["1"], patience_s=0.2).unreachable == "squeue did not answer within 0.2 s"


def test_without_slurm_s_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask(["1"]).unreachable == "squeue is not on PATH"


def test_a_thousand_jobs_are_few_calls(slurm: Program, tmp_path: Path) -> None:
    ask([str(number) for number in range(100_000, 101_000)])
    assert (tmp_path / "bin" / "asked").read_text().count("\n") == 3


def test_jobs_are_found_by_their_folders(slurm: Program) -> None:
    found = find_by_folder({SubmittedIn("/runs/f"): 0, SubmittedIn("/runs/none"): 0})
    assert {where: state.job_id for where, state in found.jobs.items()} == {SubmittedIn("/runs/f"): "20"}


def test_the_user_s_environment_does_not_decide_the_answer(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    monkeypatch.setenv("SLURM_CONF", "/etc/elsewhere")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    program("squeue", "#!/bin/sh\nenv\n")
    seen = dict(line.split("=", 1) for line in slurm_command.call(["squeue"]).stdout.splitlines())
    assert (seen["SLURM_TIME_FORMAT"], seen["LC_ALL"], seen["SLURM_CONF"]) == ("%s", "C", "/etc/elsewhere")
    assert "SQUEUE_STATES" not in seen


@pytest.mark.parametrize(
    ("hostlist", "names"),
    [
        ("", ()),
        ("login", ("login",)),
        ("node[1-2,7],login", ("node1", "node2", "node7", "login")),
        ("r[1-2]n[08-10]", ("r1n08", "r1n09", "r1n10", "r2n08", "r2n09", "r2n10")),
    ],
)
def test_node_names(hostlist: str, names: tuple[str, ...]) -> None:
    assert expand_hosts(hostlist) == names


@pytest.mark.parametrize(
    "shown",
    [
        *("PartitionTimeLimit", "PartitionNodeLimit", "PartitionConfig", "BadConstraints", "InvalidAccount"),
        *("InvalidQOS", "QOSMaxWallDurationPerJobLimit", "QOSMaxNodePerJobLimit", "AssocMaxGRESPerJob"),
        *("QOSMaxCpuPerNode", "QOSMinGRES", "DependencyNeverSatisfied", "ReservationDeleted", "AccountNotAllowed"),
    ],
)
def test_reasons_that_never_clear(shown: str) -> None:
    reason = find_reason(shown)
    assert reason is not None and reason.never and reason.meaning and reason.fix


@pytest.mark.parametrize(
    "shown",
    [
        *("Resources", "Priority", "Dependency", "BeginTime", "JobHeldUser", "JobHeldAdmin", "PartitionDown"),
        *("QOSMaxJobsPerUserLimit", "QOSGrpNodeLimit", "AssocGrpGRES", "QOSMaxGRESPerUser", "Licenses", "Reservation"),
        *("ReqNodeNotAvail, UnavailableNodes:node[1-2]", "launch_failed_requeued_held", "JobArrayTaskLimit"),
        "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority_partitions",
    ],
)
def test_reasons_that_may_clear(shown: str) -> None:
    reason = find_reason(shown)
    assert reason is not None and not reason.never and reason.meaning


def test_a_reason_that_nobody_knows_is_no_reason_to_cancel() -> None:
    assert find_reason("SomethingOfTheSite") is None

"""The cause of a failure, from the logs of real ones, and which evidence wins over which."""

from pathlib import Path

import pytest

from harness.launch.attempts import RankExit
from harness.runs.record import Cause
from harness.runs.triage.cause import find_cause
from harness.runs.triage.evidence import Evidence
from harness.runs.triage.log_search import matching_lines
from harness.runs.triage.rank_error import find_rank_error_in_log
from harness.units import GIB

FAULTS = Path(__file__).parents[1] / "fixtures/faults"
OOM = "1: [rank1]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
TIMEOUT = "0: [rank0]:[E1206 18:44:12.7 x.cpp:632] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL("
VALUE_ERROR = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\nValueError: top_k > experts'


def cause_of(name: str, **known: object) -> Cause:
    """The cause of a fault's log, with what its ranks' own words tell."""
    log = FAULTS / f"{name}.log"
    error = find_rank_error_in_log(log, {})
    traceback = error.text if error.rank is not None else None
    evidence = {"log_lines": matching_lines(log), "first_rank": error.rank, "traceback": traceback, **known}
    return find_cause(Evidence(**evidence))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", sorted(FAULTS.glob("*.log")), ids=lambda path: path.name)
def test_each_fault_has_its_cause(path: Path) -> None:
    name = path.name.partition(".")[0]
    assert cause_of(path.stem).name == name
    assert find_cause(Evidence(log_lines=matching_lines(path))).name == name


def test_memory_that_ran_out_is_told_beside_the_estimate() -> None:
    cause = cause_of("cuda-oom", predicted={"peak_memory_bytes": 90 * GIB}, ranks_per_node=2, nodes=["a", "b"])
    assert "2.00 GiB more were asked for where 1.21 GiB of 79.11 GiB were free." in cause.text
    assert "The estimate was 90.00 GiB a GPU: it was not going to fit." in cause.text
    assert (cause.ranks, cause.nodes) == ((1,), ("a",))
    assert "moe-harness plan" in cause.change


def test_an_estimate_that_was_too_low_is_owned_up_to() -> None:
    assert "it was too low for this job" in cause_of("cuda-oom", predicted={"peak_memory_bytes": 70 * GIB}).text
    assert "No estimate" in cause_of("cuda-oom").text


def test_a_timeout_names_the_rank_that_said_nothing() -> None:
    cause = cause_of("nccl-timeout", ranks_per_node=4, nodes=["a", "b"])
    assert (cause.ranks, cause.nodes) == ((5,), ("b",))
    assert "They gave up after 600 s in SeqNum=7753, OpType=ALLREDUCE" in cause.text
    assert "7 of 8 ranks reported it. Waited for: rank 5." in cause.text


def test_a_timeout_names_the_rank_that_is_behind() -> None:
    assert cause_of("nccl-timeout.torch-2.4", ranks_per_node=4, nodes=["a"]).ranks == (2,)


def test_a_small_group_s_timeout_suspects_nobody_outside_it() -> None:
    cause = cause_of("nccl-timeout", ranks_per_node=8, nodes=[f"n{number}" for number in range(128)])
    assert cause.ranks == (0, 1, 2, 3, 4, 6, 7)
    assert "7 of 1024 ranks reported it." in cause.text


def test_a_root_cause_wins_over_what_it_does_to_others() -> None:
    assert find_cause(Evidence(log_lines=[TIMEOUT, OOM])).name == "cuda-oom"
    assert find_cause(Evidence(log_lines=[TIMEOUT, "2: Connection reset by peer"])).name == "nccl-timeout"


def test_the_first_rank_s_own_fault_wins_over_slurm_s_verdict_and_that_over_the_log() -> None:
    missing = "Traceback (most recent call last):\nFileNotFoundError: [Errno 2] No such file or directory: 'x'"
    assert find_cause(Evidence(traceback=missing, slurm_state="TIMEOUT")).name == "missing-file"
    assert find_cause(Evidence(log_lines=[OOM], slurm_state="NODE_FAIL")).name == "node-failure"
    assert find_cause(Evidence(log_lines=[OOM], slurm_state="REQUEUED")).name == "cuda-oom"
    assert find_cause(Evidence(slurm_state="REQUEUED")).name == "requeued"


def test_what_programs_catch_and_print_does_not_hide_the_first_rank_s_exception() -> None:
    caught = "0: ModuleNotFoundError: No module named 'apex'"
    cause = find_cause(Evidence(log_lines=[caught], first_rank=1, traceback=VALUE_ERROR))
    assert (cause.name, cause.ranks, cause.evidence) == ("python-error", (1,), "1: ValueError: top_k > experts")
    assert find_cause(Evidence(log_lines=[caught])).name == "import-error"


def test_an_exception_that_nan_led_to_does_not_hide_it() -> None:
    """Megatron stops at NaN by saving a checkpoint, and falls over where there is no --save."""
    assert cause_of("nan-loss").name == "nan-loss"


@pytest.mark.parametrize(
    ("state", "name"),
    [
        ("NODE_FAIL", "node-failure"),
        ("PREEMPTED", "preemption"),
        ("TIMEOUT", "time-limit"),
        ("DEADLINE", "deadline"),
        ("OUT_OF_MEMORY", "host-oom"),
        ("CANCELLED by 1000", "cancelled"),
        ("FAILED", "unknown"),
    ],
)
def test_slurm_s_own_verdict(state: str, name: str) -> None:
    assert find_cause(Evidence(slurm_state=state)).name == name


def test_a_node_that_failed_is_named_and_not_the_one_that_says_so() -> None:
    cause = cause_of("node-failure")
    assert (cause.ranks, cause.nodes) == ((), ("node2",))


def test_slurm_s_account_of_tasks_names_ranks_and_their_node() -> None:
    cause = cause_of("host-oom.slurm")
    assert (cause.ranks, cause.nodes) == ((1, 2, 3), ("nid001277",))


@pytest.mark.parametrize(("code", "name"), [(137, "killed"), (139, "segfault"), (1, "unknown")])
def test_how_the_first_rank_ended(code: int, name: str) -> None:
    lost = "0: [rank0]: RuntimeError: Connection reset by peer"
    known = Evidence(log_lines=[lost] if name != "unknown" else [], first_rank=1, exit_codes={0: 1, 1: code})
    cause = find_cause(known)
    assert (cause.name, cause.ranks) == (name, (1,))


def test_a_full_disk_takes_the_line_that_would_tell_of_it() -> None:
    assert find_cause(Evidence(free_bytes=0)).name == "disk-full"
    assert find_cause(Evidence(free_bytes=10**9)).name == "unknown"


def test_an_unknown_failure_says_so_and_points_at_the_first_traceback(tmp_path: Path) -> None:
    log = tmp_path / "log"
    traceback = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\nacme.Broken: odd'
    log.write_text("".join(f"1: {line}\n" for line in traceback.splitlines()))
    error = find_rank_error_in_log(log, {1: RankExit(code=1, ended_s=5.0)})
    known = Evidence(log_lines=matching_lines(log), first_rank=error.rank, traceback=error.text, ranks_per_node=1)
    cause = find_cause(known)
    assert (cause.name, cause.ranks, cause.evidence) == ("unknown", (1,), "1: acme.Broken: odd")
    assert cause.text.startswith("The cause is not known")
    assert "no rank left a traceback" in find_cause(Evidence()).text

"""Finding the rank that a run died of, in what its ranks and torchrun left behind."""

from pathlib import Path

import pytest

from harness.launch.attempts import RankExit
from harness.launch.rundir import RunPaths
from harness.runs.triage.rank_error import find_rank_error, find_rank_error_in_log, last_traceback

OWN = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\nValueError: top_k > experts'
LOST = (
    'Traceback (most recent call last):\n  File "train.py", line 9, in <module>\n    all_reduce(x)  # until SIGTERM\n'
    "RuntimeError: [gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:27182"
)


def failure(rank: int, code: int) -> str:
    """One entry of torchrun's own summary."""
    return f"  time      : now\n  rank      : {rank} (local_rank: {rank})\n  exitcode  : {code} (pid: 7)\n"


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    """An empty run folder."""
    made = RunPaths(tmp_path)
    made.ranks.mkdir()
    return made


def leave(paths: RunPaths, stderr: dict[int, str], *, first: tuple[int, int], others: dict[int, int]) -> None:
    """Leaves each rank's stderr, and torchrun's summary with `first` as its root cause."""
    for rank, text in stderr.items():
        folder = paths.ranks / "none_x1" / "attempt_0" / str(rank)
        folder.mkdir(parents=True)
        (folder / "stderr.log").write_text(text)
        (folder / "stdout.log").touch()
    summary = "Failures:\n" + "".join(failure(*other) for other in others.items())
    paths.launcher_log.write_text(f"{OWN}\n{summary}Root Cause (first observed failure):\n[0]:\n{failure(*first)}")


def test_the_first_to_fall_is_shown_in_its_own_words(paths: RunPaths) -> None:
    leave(paths, {0: "", 1: f"a warning\n{OWN}\n"}, first=(1, 1), others={})
    error = find_rank_error(paths)
    assert (error.rank, error.exit_code, error.text) == (1, 1, OWN)


def test_a_rank_that_only_lost_its_peer_is_passed_over(paths: RunPaths) -> None:
    leave(paths, {0: LOST, 1: OWN}, first=(0, 1), others={1: 3})
    error = find_rank_error(paths)
    assert (error.rank, error.exit_code, error.text) == (1, 3, OWN)


def test_where_all_lost_each_other_the_first_stands(paths: RunPaths) -> None:
    leave(paths, {0: LOST, 1: LOST}, first=(1, 1), others={0: 1})
    assert find_rank_error(paths).rank == 1


@pytest.mark.parametrize(("stderr", "told"), [(OWN, OWN), ("error: no\n", "it left no traceback\nerror: no")])
def test_a_program_that_no_torchrun_started(paths: RunPaths, stderr: str, told: str) -> None:
    leave(paths, {0: stderr}, first=(0, 2), others={})
    paths.launcher_log.write_text("")
    error = find_rank_error(paths)
    assert (error.rank, error.exit_code, error.text) == (0, None, told)


def test_a_rank_killed_by_the_kernel(paths: RunPaths) -> None:
    leave(paths, {0: LOST, 1: "loading\n"}, first=(0, 1), others={1: -9})
    error = find_rank_error(paths)
    assert (error.rank, error.exit_code) == (1, 137)
    assert error.text == "killed by SIGKILL (the kernel does that when memory runs out)\nloading"


def test_an_end_without_a_traceback(paths: RunPaths) -> None:
    leave(paths, {0: "pretrain_gpt.py: error: unrecognized arguments: --x\n"}, first=(0, 2), others={})
    assert find_rank_error(paths).text == ("it left no traceback\npretrain_gpt.py: error: unrecognized arguments: --x")


def test_torchrun_itself_fell(paths: RunPaths) -> None:
    paths.launcher_log.write_text("/usr/bin/python3: No module named torch\n")
    error = find_rank_error(paths)
    assert (error.rank, error.text) == (None, "/usr/bin/python3: No module named torch")


def test_torch_s_labels_and_warnings_are_taken_off() -> None:
    labelled = "\n".join(f"[rank1]: {line}" for line in OWN.splitlines())
    noise = "[rank1]:[W1121 07:16:02.1 ProcessGroupNCCL.cpp:1538] Warning: destroy_process_group() was not called"
    assert last_traceback(f"start\n{labelled}\n{noise}\n") == OWN


def test_a_chain_of_exceptions_is_kept_whole_and_an_earlier_one_left_out() -> None:
    link = "\n\nDuring handling of the above exception, another exception occurred:\n\n"
    assert last_traceback(f"{LOST}\nretrying\n{OWN}{link}{OWN}") == f"{OWN}{link}{OWN}"
    assert last_traceback("all is well\n") is None


def test_what_a_destructor_raises_at_the_end_is_left_out() -> None:
    ignored = (
        "Exception ignored in: <function IndexedDataset.__del__>\nTraceback (most recent call last):\nAttributeError"
    )
    assert last_traceback(f"{OWN}\n{ignored}\n") == OWN
    assert last_traceback(f"{ignored}\n") is None


def log_of(folder: Path, *said: tuple[int, str]) -> Path:
    """A log as `srun -l` makes it of twelve ranks: labels are padded, and ranks' lines come between one another's."""
    log = folder / "log"
    turns = [[f"{rank:2d}: {line}\n" for line in text.splitlines()] for rank, text in said]
    longest = max(map(len, turns))
    log.write_text("".join(lines[turn] for turn in range(longest) for lines in turns if turn < len(lines)))
    return log


def exits(**ended: tuple[int, float]) -> dict[int, RankExit]:
    """`r3=(1, 0.5)`: rank 3 ended with code 1 at 0.5 s."""
    return {int(name[1:]): RankExit(code=code, ended_s=at) for name, (code, at) in ended.items()}


def test_in_one_log_the_first_to_fall_is_shown_in_its_own_words(tmp_path: Path) -> None:
    log = log_of(tmp_path, (3, f"a warning\n{OWN}"), (11, LOST), (0, "training"))
    error = find_rank_error_in_log(log, exits(r0=(143, 9.0), r3=(1, 5.5), r11=(1, 5.9)))
    assert (error.rank, error.exit_code, error.text) == (3, 1, OWN)


def test_in_one_log_a_rank_that_only_lost_its_peer_is_passed_over(tmp_path: Path) -> None:
    log = log_of(tmp_path, (2, LOST), (10, OWN))
    error = find_rank_error_in_log(log, exits(r2=(1, 5.0), r10=(1, 5.2)))
    assert (error.rank, error.text) == (10, OWN)
    assert find_rank_error_in_log(log, {}).rank == 10  # none lived to leave its exit code


def test_in_one_log_a_rank_that_was_killed(tmp_path: Path) -> None:
    log = log_of(tmp_path, (0, LOST), (1, "loading"))
    error = find_rank_error_in_log(log, exits(r0=(1, 5.0), r1=(137, 5.1)))
    assert (error.rank, error.exit_code) == (1, 137)
    assert error.text == "killed by SIGKILL (the kernel does that when memory runs out)\nloading"


def test_in_one_log_nccl_s_abort_is_not_the_first_fault(tmp_path: Path) -> None:
    log = log_of(tmp_path, (0, "waiting"), (1, OWN))
    error = find_rank_error_in_log(log, exits(r0=(134, 5.0), r1=(1, 7.0)))
    assert (error.rank, error.text) == (1, OWN)


def test_in_one_log_the_ranks_that_were_asked_to_end_are_not_first(tmp_path: Path) -> None:
    log = log_of(tmp_path, (0, "ended"), (1, "pretrain_gpt.py: error: unrecognized arguments: --x"))
    error = find_rank_error_in_log(log, exits(r0=(143, 5.0), r1=(2, 5.1)))
    assert (error.rank, error.text) == (
        1,
        "it left no traceback\npretrain_gpt.py: error: unrecognized arguments: --x",
    )


def test_in_one_log_what_a_rank_caught_is_not_what_the_run_died_of(tmp_path: Path) -> None:
    log = log_of(tmp_path, (0, OWN), (1, "pretrain_gpt.py: error: odd"), (2, OWN))
    error = find_rank_error_in_log(log, exits(r0=(143, 6.0), r1=(2, 5.0), r2=(0, 4.0)))
    assert (error.rank, error.text) == (1, "it left no traceback\npretrain_gpt.py: error: odd")


def test_in_one_log_only_this_attempt_counts(tmp_path: Path) -> None:
    log = log_of(tmp_path, (0, OWN))
    before = log.stat().st_size
    with log.open("a") as file:
        file.write("srun: error: node1: tasks 0-1: Killed\n")
    error = find_rank_error_in_log(log, {}, start_bytes=before)
    assert (error.rank, error.exit_code) == (None, None)
    assert error.text == "srun: error: node1: tasks 0-1: Killed"
    assert find_rank_error_in_log(tmp_path / "none", {}).text == ""

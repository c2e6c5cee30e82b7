"""Pieces of the job's script that are quickly tried by themselves; the whole runs in tests/slurm/test_job_script.py."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import harness.launch.script
from harness.launch.script.slurm_job import pattern_lines
from harness.runs.triage.cause import find_cause
from harness.runs.triage.evidence import Evidence
from harness.runs.triage.signatures import retry_patterns

SHELL = Path(harness.launch.script.__file__).parent / "shell"


def run(script: str, *pieces: str) -> str:
    """What a strict bash prints of some lines around a piece, `@` standing for it."""
    text = script.replace("@", "\n".join((SHELL / piece).read_text() for piece in pieces))
    done = subprocess.run(["bash", "-c", f"set -euo pipefail\n{text}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def newest(folder: Path) -> str:
    """The step of a run's newest whole checkpoint."""
    return run(f"RUN_DIR='{folder}'\n@\nnewest_checkpoint", "checkpoints.sh")


def save(folder: Path, name: str, *files: str) -> None:
    (folder / "checkpoints" / name).mkdir(parents=True)
    for file in files:
        (folder / "checkpoints" / name / file).write_text("{}")


HOLD = """
RUN_DIR={folder} SLURM_JOB_ID=7 SLURM_RESTART_COUNT={restart} SLURM_CLUSTER_NAME=alps
ended_states=COMPLETED
@
cat "$RUN_DIR/owner"; ls "$RUN_DIR"
"""


def hold(folder: Path, restart: int = 0) -> str:
    """Who holds the run, and what files its folder has, once a start of job 7 has come to hold it."""
    return run(HOLD.format(folder=folder, restart=restart), "owner.sh")


def test_a_start_that_died_while_it_took_the_run_is_followed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "owner.7").write_text("7 0 alps\n")
    (tmp_path / "owner").hardlink_to(tmp_path / "owner.7")
    with (tmp_path / "owner").open() as before:
        assert hold(tmp_path, restart=1) == "7 1 alps\nowner"
        assert before.read() == "7 0 alps\n"  # others read it whole, then or now


def test_a_link_that_was_made_counts_whatever_ln_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that NFS lost is asked for again, and says that the link is there already."""
    programs, folder = tmp_path / "bin", tmp_path / "run"
    programs.mkdir()
    folder.mkdir()
    (programs / "ln").write_text('#!/bin/sh\n/bin/ln "$@"\necho "ln: File exists" >&2\nexit 1\n')
    (programs / "ln").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assert hold(folder) == "7 0 alps\nowner"


@pytest.mark.parametrize(
    ("state", "spare"), [("idle", 1), ("alloc", 1), ("plnd", 1), ("mix-", 1), ("idle~", 1), ("drain", 0), ("down*", 0)]
)
def test_a_node_counts_as_in_service(state: str, spare: int) -> None:
    script = f"""
    sinfo() {{ printf '%s\\n' 'n1 alloc' 'n2 alloc' 'n3 {state}'; }}
    scontrol() {{ tr ',' '\\n' <<<"$3"; }}
    SLURM_JOB_PARTITION=main hosts=(n1)
    @
    spare_nodes n2"""
    assert run(script, "requeue.sh") == str(spare)


@pytest.mark.parametrize(
    ("visible", "counted"), [(None, "8"), ("0,1", "2"), ("0", "1"), ("", "0"), ("0,1,2,3,4,5,6,7,8", "8")]
)
def test_gpus_are_counted_that_are_there_and_may_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, counted: str
) -> None:
    (tmp_path / "nvidia-smi").write_text('#!/bin/sh\nfor n in 0 1 2 3 4 5 6 7; do echo "GPU $n: NVIDIA H100"; done\n')
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = re.search(r"^count_gpus\(\) .*?^}$", (SHELL / "rank.sh").read_text(), re.MULTILINE | re.DOTALL)
    assert found and run(f"{found[0]}\ncount_gpus") == counted


@pytest.mark.parametrize(
    ("may_use", "there", "said", "threads"), [(64, 64, "", "8"), (2, 2, "", "1"), (4, 64, "", "4"), (64, 64, "3", "3")]
)
def test_ranks_without_gpus_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, may_use: int, there: int, said: str, threads: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    found = re.search(r"^share_cores\(\) .*?^}$", (SHELL / "rank.sh").read_text(), re.MULTILINE | re.DOTALL)
    nproc = f"env() {{ echo {may_use}; }}\nnproc() {{ echo {there}; }}\n"
    assert found and run(f"{nproc}ranks_per_node=8\n{found[0]}\nshare_cores\necho $OMP_NUM_THREADS") == threads


@pytest.mark.parametrize(
    ("facts", "said", "lost"),
    [
        ("exit=143\n", "srun: error: Node failure on n2\n", "n2"),
        ("signal=TERM 5\n", "0: srun: error: Node failure on n2\n", ""),  # a rank said so
        ("exit=1\n", "", ""),
        ("", "", "n1"),  # it went with the script
    ],
)
def test_the_node_that_the_attempt_before_lost(tmp_path: Path, facts: str, said: str, lost: str) -> None:
    attempt = tmp_path / "attempts/0"
    attempt.mkdir(parents=True)
    before, after = "srun: error: Node failure on n8\n", "srun: error: Node failure on n9\n"
    (attempt / "facts").write_text(f"nodes=n1 n2\nlog_start={len(before)}\n{facts}")
    (tmp_path / "log").write_text(before + said + after)
    known = f"RUN_DIR='{tmp_path}' log_start={len(before + said)} number=1 restart=0 retries=0 hosts=() SLURM_JOB_ID=7"
    assert run(f"{known}\n@\nlost_before", "lost_node.sh") == lost


CAUGHT = "ModuleNotFoundError: No module named 'apex'"
PASSING = "Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1)"


@pytest.mark.parametrize(
    ("log", "codes", "lasts"),
    [
        ((f"0: {CAUGHT}", f"0: {PASSING}"), (134, 143), False),
        ((f"0: {PASSING}", f"0: {CAUGHT}"), (1, 143), True),
        ((f"1: {CAUGHT}", f"0: {PASSING}"), (134, 1), True),
        ((f"1: {CAUGHT}", f"0: {PASSING}"), (134, 143), False),
        ((f"1: {CAUGHT}", f"0: {PASSING}"), (134, 137), False),
        ((f"1: {CAUGHT}", f"0: {PASSING}"), (134,), False),
        ((f" 1: {CAUGHT}", f"10: {PASSING}"), (134, 1), True),
        ((f"1: {CAUGHT}", f"0: {PASSING}"), (134, None), False),
        ((f"1: [rank1]: {CAUGHT}", f"1: [rank1]:[E1121 x.cpp] {PASSING}"), (143, 134), False),
        ((f"1: {PASSING} {CAUGHT}",), (143, 134), True),
        ((f"1: {CAUGHT}", f"0: {PASSING}"), (), False),
        ((".bashrc: Permission denied", f"0: {PASSING}"), (134, 143), False),
        ((f"0: {PASSING}",), (1, 1), False),
    ],
)
def test_a_fault_that_others_go_on_from_counts_where_a_rank_ended_by_it(
    tmp_path: Path, log: tuple[str, ...], codes: tuple[int | None, ...], lasts: bool
) -> None:
    """The job's script and the record decide alike; a full disk leaves an exit code that is none."""
    (tmp_path / "ranks").mkdir()
    for rank, code in enumerate(codes):
        (tmp_path / f"ranks/{rank}.exit").write_text("" if code is None else f"{code} 1.5\n")
    (tmp_path / "log").write_text("".join(f"{line}\n" for line in log))
    patterns = "\n".join(pattern_lines(retry_patterns()))
    script = f"""
    RUN_DIR='{tmp_path}' attempt='{tmp_path}' log_start=0 code=0 restart=0 retries=0
    {patterns}
    @
    if ended_by_weak; then echo lasts; fi"""
    assert run(script, "retry.sh") == ("lasts" if lasts else "")
    known = {rank: code for rank, code in enumerate(codes) if code is not None}
    caught = f"Traceback (most recent call last):\n{CAUGHT}"
    for rank, words in ((None, None), (1, caught)):
        evidence = Evidence(log_lines=log, exit_codes=known, first_rank=rank, traceback=words)
        if f"{rank}: {CAUGHT}" in log or rank is None:
            assert find_cause(evidence).name == ("import-error" if lasts else "nccl-timeout")


WHOLE = (".metadata", "metadata.json")


@pytest.mark.parametrize("piece", sorted(SHELL.glob("*.sh")), ids=lambda path: path.name)
def test_each_piece_says_which_variables_it_takes(piece: Path) -> None:
    """Pieces share one shell: what one of them uses and does not set, those before it must have set."""
    text = piece.read_text()
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    set_here = set(re.findall(r"(?:^|[\s(])([a-z_]+)\+?=", code, re.MULTILINE)) | set(
        re.findall(r"for ([a-z_]+) in", code)
    )
    for names in re.findall(r"(?:local|read(?: -[a-z]+)*) ([^\n;<]*)", code):
        set_here |= set(re.findall(r"[a-z_]+", names))
    said = re.search(r"^# takes: (.*)$", text, re.MULTILINE)
    takes = set(said[1].split()) if said else set()
    assert set(re.findall(r"\$\{?#?([a-z][a-z_]*)", code)) - set_here <= takes
    assert {name for name in takes if not re.search(rf"\b{name}\b", code)} == set()


def test_the_newest_whole_checkpoint_counts(tmp_path: Path) -> None:
    assert newest(tmp_path) == ""
    save(tmp_path, "iter_9999999", *WHOLE)
    save(tmp_path, "iter_10000000", *WHOLE)
    save(tmp_path, "iter_10000001", ".metadata")
    save(tmp_path, "iter_20000000.bak", *WHOLE)
    assert newest(tmp_path) == "10000000"


def test_what_other_formats_saved_counts_once_the_tracker_names_it(tmp_path: Path) -> None:
    save(tmp_path, "iter_0000080", "mp_rank_00")
    save(tmp_path, "iter_0000090", ".metadata")
    assert newest(tmp_path) == ""
    tracker = tmp_path / "checkpoints/latest_checkpointed_iteration.txt"
    for text, step in (("80", "80"), ("90\n", "90"), ("100", ""), ("release", ""), ("", "")):
        tracker.write_text(text)
        assert newest(tmp_path) == step


@pytest.mark.parametrize(
    ("stopped", "last_step", "code"), [("", "", 0), ("USR1", 8, 124), ("TERM", 8, 143), ("USR1", 7, 0)]
)
def test_ranks_that_ended_as_asked_have_more_to_train_unless_the_last_step_is_saved(
    tmp_path: Path, stopped: str, last_step: int | str, code: int
) -> None:
    (tmp_path / "ranks").mkdir()
    (tmp_path / "ranks/0.exit").write_text("0 1.5\n")
    save(tmp_path, "iter_0000007", *WHOLE)
    known = f"RUN_DIR='{tmp_path}' attempt='{tmp_path}' me=me number=0 ranks=1 code=0 stopped={stopped}"
    told = run(
        f"{known} last_step={last_step}\nholder() {{ echo me; }}\nnote() {{ echo $1; }}\n@\necho $code",
        *("checkpoints.sh", "end.sh"),
    )
    assert told.splitlines() == [*(["saved=7"] if stopped else []), str(code)]
    assert (tmp_path / "finished").exists() is (code == 0)


def test_of_thousands_of_failed_ranks_the_first_one_is_found(tmp_path: Path) -> None:
    """More than a pipe holds: who reads the sorted list to its first line alone ends the sorter, and so the script."""
    (tmp_path / "ranks").mkdir()
    for rank in range(4096):
        code = 9 if rank == 777 else 143
        (tmp_path / f"ranks/{rank}.exit").write_text(f"{code} {1_795_000_100.5 - (rank == 777)}\n")
    told = run(
        f"RUN_DIR='{tmp_path}' attempt='{tmp_path}' me=me number=0 ranks=4096 stopped= last_step=\n"
        "code=143\nholder() { echo me; }\n@\necho $code",
        "end.sh",
    )
    assert told == "9"

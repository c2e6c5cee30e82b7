"""What becomes of a record, by the run's own facts and Slurm's word; the same on a real Slurm is in tests/slurm."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from stored_records import RECORDS, load_version, result_of

from harness.errors import EnvironmentProblem
from harness.launch.attempts import AttemptFacts, read_attempts, read_exits
from harness.launch.processes import end_leftovers
from harness.launch.rundir import RunPaths
from harness.launch.slurm.job_state import JobState
from harness.launch.slurm.queue import FoundJobs, QueueView
from harness.launch.supervisor_lock import is_supervised, supervising
from harness.runs.log_reading import LogReading
from harness.runs.reconcile.attempt_history import attempts_of
from harness.runs.reconcile.reconcile import reconcile_all, reconcile_one
from harness.runs.reconcile.recover_job import recovered
from harness.runs.record import SCHEMA_VERSION, RunRecord, epoch_of, utc_at
from harness.runs.record_file import save
from harness.runs.samples_file import load_samples
from harness.runs.store import StoredRun, copy_path, list_runs, load_run, reread

RECORD = load_version(1)
RESULT = result_of(RECORD)
LOGS = Path(__file__).parents[1] / "fixtures" / "logs"
SILENT = QueueView(unreachable="Unable to contact slurm controller")
NOW = 1_795_282_000


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    return stored(tmp_path / "bench-1a2b")


def stored(folder: Path, *, on: str = "slurm", job_id: str | None = "7", created_s: float = NOW) -> StoredRun:
    """A run as it is once it was submitted."""
    folder.mkdir()
    record = replace(
        RECORD,
        run_id=folder.name,
        status="submitted" if on == "slurm" else "running",
        created=utc_at(created_s),
        started=None,
        ended=None,
        resolved=replace(RECORD.resolved, settings={**RECORD.resolved.settings, "RUN_TIME": "00:20:00"}),
        job=replace(RECORD.job, on=on, job_id=job_id, host=os.uname().nodename),
        result=replace(RESULT, summary=None, in_effect=None, differences=()),
        error=None,
        paths={name: str(getattr(RunPaths(folder), name)) for name in ("root", "record", "log")},
    )
    save(record, RunPaths(folder).record, {})
    return StoredRun(folder=folder, record=record)


def reconcile(run: StoredRun, view: QueueView) -> StoredRun:
    """The run as it then stands."""
    return reconcile_one(reread(run), view)[0]


def slurm_says(run: StoredRun, state: str, **facts: object) -> QueueView:
    job = JobState(job_id="7", state=state, work_dir=str(run.folder))
    return QueueView(states={"7": job._replace(**facts)})  # type: ignore[arg-type]


def attempt(run: StoredRun, number: int, *facts: str, ranks: tuple[int, ...] = ()) -> None:
    """What a start of the job leaves."""
    folder = run.folder / "attempts" / str(number)
    (folder / "ranks").mkdir(parents=True)
    (folder / "facts").write_text("".join(f"{fact}\n" for fact in facts))
    for rank, code in enumerate(ranks):
        (folder / "ranks" / f"{rank}.exit").write_text(f"{code} {NOW + 9 + rank / 10}\n")


def on_disk(run: StoredRun) -> RunRecord:
    return load_run(run.folder).record


@pytest.mark.parametrize("state", ["PENDING", "REQUEUE_HOLD", "CONFIGURING"])
def test_a_job_that_waits_is_submitted_again_or_still(run: StoredRun, state: str) -> None:
    attempt(run, 0, "job=7", "nodes=node1 node2", f"started={NOW}", "retry=nccl-timeout", "exit=1", f"ended={NOW + 9}")
    reconciled = reconcile(run, slurm_says(run, state, reason="BeginTime")).record
    (told,) = reconciled.attempts
    assert (reconciled.status, told.state, told.retried, told.nodes) == (
        "submitted",
        "FAILED",
        "nccl-timeout",
        ("node1", "node2"),
    )
    assert reconciled == on_disk(run)


def test_a_running_job_and_nothing_new_leaves_the_file_alone(run: StoredRun) -> None:
    attempt(run, 0, "job=7", "nodes=node1", f"started={NOW}")
    view = slurm_says(run, "RUNNING", started_s=NOW - 1, nodes=("node1",))
    reconciled = reconcile(run, view)
    assert (reconciled.record.status, reconciled.record.started) == ("running", utc_at(NOW))
    before = run.paths.record.stat().st_ino
    assert reconcile(reconciled, view) == reconciled
    assert run.paths.record.stat().st_ino == before


def test_silence_is_no_news(run: StoredRun) -> None:
    attempt(run, 0, "job=7", f"started={NOW}")
    assert reconcile(run, SILENT) == run


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        (("exit=0", f"ended={NOW + 60}"), "completed"),
        (("exit=3", f"ended={NOW + 60}"), "failed"),
        ((f"signal=TERM {NOW + 59}", "exit=143", f"ended={NOW + 60}"), "cancelled"),
    ],
)
def test_a_job_that_slurm_forgot_gets_its_status_from_its_own_facts(
    run: StoredRun, facts: tuple[str, ...], status: str
) -> None:
    attempt(run, 0, "job=7", "nodes=node1", f"started={NOW}", *facts)
    reconciled = reconcile(run, QueueView()).record
    assert (reconciled.status, reconciled.ended) == (status, utc_at(NOW + 60))


@pytest.mark.parametrize(
    ("signals", "ran_s", "run_time", "status"),
    [
        (("TERM",), 1210, "00:20:00", "failed"),
        (("TERM",), 1170, "00:20:00", "failed"),  # the script began after the job, whose time was up
        (("USR1", "TERM"), 1090, "00:20:00", "failed"),
        (("TERM",), 1090, "00:20:00", "cancelled"),
        (("TERM",), 1210, "", "cancelled"),  # a record that does not say how long it might run
    ],
)
def test_a_job_that_slurm_forgot_ran_out_of_its_time_if_it_ended_then(
    run: StoredRun, signals: tuple[str, ...], ran_s: int, run_time: str, status: str
) -> None:
    resolved = replace(run.record.resolved, settings={**run.record.resolved.settings, "RUN_TIME": run_time})
    run = replace(run, record=replace(run.record, resolved=resolved))
    save(run.record, run.paths.record, {})
    told = [f"signal={name} {NOW + ran_s - 1}" for name in signals]
    attempt(run, 0, "job=7", "nodes=node1", f"started={NOW}", *told, "exit=143", f"ended={NOW + ran_s}")
    reconciled = reconcile(run, QueueView()).record
    assert reconciled.status == status
    cause = reconciled.error.cause.name if reconciled.error and reconciled.error.cause else None
    assert cause == ("time-limit" if status == "failed" else None)


def test_a_job_that_slurm_forgot_and_that_left_no_end_is_failed_and_says_so(run: StoredRun) -> None:
    attempt(run, 0, "job=7", "nodes=node1", f"started={NOW}")
    reconciled = reconcile(run, QueueView()).record
    assert reconciled.status == "failed" and reconciled.error is not None and reconciled.error.cause is not None
    assert reconciled.error.cause.name == "lost"
    assert reconciled.error.cause.text == "Slurm no longer knows job 7, and the job's script left no word of its end."


def test_a_job_that_never_began_and_is_forgotten_is_failed_and_says_so(run: StoredRun) -> None:
    reconciled = reconcile(run, QueueView()).record
    assert reconciled.status == "failed" and reconciled.error is not None and reconciled.error.cause is not None
    assert "never began, as far as can be seen here" in reconciled.error.cause.text


def test_a_job_of_a_moment_ago_is_not_over_because_slurm_does_not_know_it_yet(tmp_path: Path) -> None:
    young = stored(tmp_path / "young", created_s=time.time() - 5)
    assert reconcile(young, QueueView()).record.status == "submitted"


def test_the_id_of_another_job_is_no_word_of_ours(run: StoredRun) -> None:
    attempt(run, 0, "job=7", f"started={NOW}", "exit=0", f"ended={NOW + 1}")
    assert reconcile(run, slurm_says(run, "RUNNING", work_dir="/home/alice")).record.status == "completed"


def test_an_end_that_the_disk_does_not_show_yet_is_waited_for(run: StoredRun) -> None:
    attempt(run, 0, "job=7", f"started={NOW}")
    fresh = slurm_says(run, "FAILED", started_s=NOW, ended_s=int(time.time()), exit_code=1)
    assert reconcile(run, fresh) == run
    old = slurm_says(run, "FAILED", started_s=NOW, ended_s=int(time.time()) - 60, exit_code=1)
    assert reconcile(run, old).record.status == "failed"


def test_a_failed_run_tells_its_first_rank_each_rank_s_code_and_the_cause(run: StoredRun) -> None:
    attempt(run, 0, "job=7", "nodes=node1 node2", f"started={NOW}", "exit=1", f"ended={NOW + 20}", ranks=(143, 1, 1))
    (run.folder / "log").write_text(
        '0: one\n1: Traceback (most recent call last):\n1:   File "a.py", line 1\n1: ValueError: of rank 1\n'
        '2: Traceback (most recent call last):\n2:   File "a.py", line 1\n2: ValueError: of rank 2\n'
    )
    error = reconcile(run, slurm_says(run, "FAILED", started_s=NOW, ended_s=NOW + 20, exit_code=1)).record.error
    assert error is not None and error.cause is not None
    assert (error.rank, error.exit_code, error.exit_codes) == (1, 1, {"0": 143, "1": 1, "2": 1})
    assert error.traceback is not None and error.traceback.endswith("ValueError: of rank 1")
    assert error.cause.name == "python-error"


def test_a_finished_run_is_completed_whatever_a_later_start_came_to(run: StoredRun) -> None:
    (run.folder / "finished").touch()
    assert reconcile(run, slurm_says(run, "CANCELLED", ended_s=NOW)).record.status == "completed"


def test_whoever_looks_last_does_not_undo_what_another_has_found(run: StoredRun) -> None:
    """A watch that slept while the run was cancelled, and wakes when Slurm has forgotten the job."""
    stale = load_run(run.folder)
    reconcile(run, slurm_says(run, "CANCELLED", started_s=NOW, ended_s=NOW + 9))
    before = run.paths.record.read_text()
    assert reconcile(stale, QueueView()).record.status == "cancelled"
    assert run.paths.record.read_text() == before


def test_written_by_another_while_slurm_was_asked_it_is_left_alone(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def derive_slowly(before: StoredRun, view: QueueView) -> tuple[LogReading, None]:
        save(replace(before.record, status="completed"), run.paths.record, {})
        return LogReading(record=replace(before.record, status="failed")), None

    monkeypatch.setattr("harness.runs.reconcile.reconcile.derive_status", derive_slowly)
    assert reconcile(run, QueueView()).record.status == "completed"
    assert on_disk(run).status == "completed"


def test_a_lost_run_that_gives_word_later_gets_its_status_anew(run: StoredRun) -> None:
    attempt(run, 0, "job=7", "nodes=node1", f"started={NOW}")
    assert reconcile(run, QueueView()).record.status == "failed"
    with (run.folder / "attempts/0/facts").open("a") as facts:
        facts.write(f"exit=0\nended={NOW + 60}\n")
    run.paths.finished.touch()
    assert load_run(run.folder).record.status == "running"
    assert reconcile(load_run(run.folder), SILENT).record.status == "completed"


def test_a_job_that_still_holds_its_run_is_over_only_once_it_is_silent(run: StoredRun) -> None:
    attempt(run, 0, "job=7", "nodes=node1", f"started={NOW}")
    run.paths.owner.write_text("7 0 alps\n")
    log = run.paths.log
    log.write_text("0: training\n")
    assert reconcile(run, QueueView()).record.status == "submitted"
    os.utime(log, (time.time() - 3600,) * 2)
    assert reconcile(run, QueueView()).record.status == "failed"
    log.write_text("0: training\n0: still\n")
    assert load_run(run.folder).record.status == "running"


def test_a_stranger_s_ignorance_is_no_news(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 12345)
    assert reconcile(run, QueueView()).record.status == "submitted"
    reconciled = reconcile(run, slurm_says(run, "CANCELLED", ended_s=NOW))
    assert (reconciled.record.status, reconciled.problem, on_disk(run).status) == ("cancelled", None, "submitted")


def test_a_log_that_may_not_be_read_is_told_and_harms_no_other_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = stored(tmp_path / "good"), stored(tmp_path / "bad", job_id="8")
    RunPaths(bad.folder).log.touch()
    monkeypatch.setattr("harness.runs.reconcile.reconcile.ask", lambda *_, **__: QueueView())

    def unreadable(*_: object, **__: object) -> None:
        raise EnvironmentProblem("no")

    monkeypatch.setattr("harness.runs.log_reading.read_lines", unreadable)
    reconciled = reconcile_all([bad, good])
    assert [(it.record.status, it.problem) for it in reconciled.runs] == [("submitted", "no"), ("failed", None)]


def test_an_end_is_written_with_the_samples_of_the_log(run: StoredRun) -> None:
    shutil.copy(LOGS / "megatron-0.19.log", run.paths.log)
    attempt(run, 0, "job=7", "nodes=node1", f"started={NOW}", "exit=0", f"ended={NOW + 60}")
    reconciled = reconcile(run, QueueView())
    summary = result_of(reconciled.record).summary
    assert summary is not None and summary.n_used > 0 and on_disk(run) == reconciled.record
    assert len(load_samples(run.paths)) == summary.n_used + summary.n_dropped


def test_where_samples_have_no_room_the_end_is_written_later_with_them(run: StoredRun) -> None:
    shutil.copy(LOGS / "megatron-0.19.log", run.paths.log)
    attempt(run, 0, "job=7", "nodes=node1", f"started={NOW}", "exit=0", f"ended={NOW + 60}")
    run.paths.samples.mkdir()  # no file can be put there
    told = reconcile(run, QueueView())
    assert told.record.status == "completed" and on_disk(run).status == "submitted"
    assert told.problem is not None and "cannot write the run's samples" in told.problem
    run.paths.samples.rmdir()
    assert reconcile(run, QueueView()).problem is None
    assert on_disk(run).status == "completed" and load_samples(run.paths)


def test_attempts_of_facts_and_of_accounting_are_told_once_each() -> None:
    facts = (
        AttemptFacts(number=0, job_id="7", restart=0, started_s=NOW + 1, nodes=("node1", "node2")),
        AttemptFacts(
            number=1, job_id="7", restart=2, started_s=NOW + 301, nodes=("node1", "node3"), resumed_step=20, exit_code=0
        ),
    )
    rows = (
        JobState(job_id="7", state="NODE_FAIL", nodes=("node1", "node2"), started_s=NOW, ended_s=NOW + 50, exit_code=1),
        JobState(
            job_id="7", state="FAILED", nodes=("node1", "node4"), started_s=NOW + 200, ended_s=NOW + 202, exit_code=181
        ),
        JobState(
            job_id="7", state="COMPLETED", nodes=("node1", "node3"), started_s=NOW + 300, ended_s=NOW + 400, exit_code=0
        ),
    )
    told = attempts_of(facts, rows[-1], rows, "7")
    assert [(it.number, it.state, it.retried, it.exit_code) for it in told] == [
        (0, "NODE_FAIL", "NODE_FAIL", 1),
        (1, "FAILED", None, 181),  # its script never wrote a word
        (2, "COMPLETED", None, 0),
    ]
    assert told[2].resumed_from == 20
    # Without accounting the controller tells of the last start alone.
    derived = attempts_of(facts, rows[-1], (), "7")
    assert [(it.state, it.nodes[-1]) for it in derived] == [("REQUEUED", "node2"), ("COMPLETED", "node3")]


@pytest.mark.parametrize("off_s", [-7200, -60, -8, 8, 60, 7200])
@pytest.mark.parametrize("accounted", [False, True])
def test_a_node_s_clock_does_not_count(off_s: int, accounted: bool) -> None:
    facts = tuple(
        AttemptFacts(number=it, job_id="7", restart=it, started_s=NOW + 100 * it + off_s, nodes=("a",), exit_code=it)
        for it in range(2)
    )
    rows = [
        JobState(
            job_id="7", state=state, nodes=("a",), started_s=NOW + 100 * it, ended_s=NOW + 100 * it + 9, exit_code=it
        )
        for it, state in enumerate(("NODE_FAIL", "FAILED"))
    ]
    first, second = attempts_of(facts, rows[-1], rows if accounted else (), "7")
    assert (first.state, second.state) == ("NODE_FAIL" if accounted else "REQUEUED", "FAILED")
    running = rows[0]._replace(state="RUNNING", ended_s=None)
    begun = facts[0]._replace(exit_code=None)
    (only,) = attempts_of((begun,), running, (running,) if accounted else (), "7")
    assert (only.started, only.state) == (utc_at(NOW + off_s), "RUNNING")


def test_jobs_that_took_turns_are_told_in_their_turns() -> None:
    """A job, another by hand, the first one requeued by an operator, and once more with nothing written yet."""
    facts = [
        AttemptFacts(number=number, job_id=job, restart=restart, started_s=NOW + number, nodes=("a",), exit_code=1)
        for number, (job, restart) in enumerate((("7", 0), ("8", 0), ("7", 1)))
    ]
    running = JobState(job_id="7", state="RUNNING", nodes=("b",), started_s=NOW + 9)
    told = attempts_of(facts, running, (), "7")
    assert [(it.job_id, it.state) for it in told] == [
        ("7", "FAILED"),
        ("8", "FAILED"),
        ("7", "FAILED"),
        ("7", "RUNNING"),
    ]
    lost = [it._replace(job_id=None, restart=None) for it in facts]  # of a full disk
    assert len(attempts_of(lost, None, (), "7")) == 3


def test_a_job_that_never_began_had_no_start() -> None:
    cancelled = JobState(job_id="7", state="CANCELLED", started_s=NOW, ended_s=NOW)
    assert attempts_of((), cancelled, (cancelled,), "7") == ()
    waiting = AttemptFacts(number=0, job_id="7", restart=0, started_s=NOW, exit_code=1, retry="ib-error")
    (told,) = attempts_of((waiting,), cancelled, (), "7")  # cancelled before its second start
    assert (told.state, told.retried) == ("FAILED", "ib-error")


def test_a_start_to_come_is_no_attempt_and_one_that_just_began_is_one() -> None:
    first = AttemptFacts(number=0, job_id="7", restart=0, started_s=NOW, ended_s=NOW + 9, exit_code=143)
    ending = JobState(job_id="7", state="COMPLETING", nodes=("node1",), started_s=NOW + 60)
    assert [it.state for it in attempts_of((first,), ending, (), "7")] == ["FAILED"]
    again = JobState(job_id="7", state="RUNNING", nodes=("node2",), started_s=NOW + 60)
    for facts in ((first,), (first, AttemptFacts(number=1))):  # it has written nothing yet
        assert [it.state for it in attempts_of(facts, again, (), "7")][1:] == ["RUNNING"]


def test_an_ended_run_that_was_started_again_is_under_way_again(run: StoredRun) -> None:
    attempt(run, 0, "job=7", "restart=0", "nodes=a", f"started={NOW}", "exit=143", f"ended={NOW + 9}")
    reconcile(run, slurm_says(run, "CANCELLED", started_s=NOW, ended_s=NOW + 9))
    assert load_run(run.folder).record.status == "cancelled"
    attempt(run, 1, "job=8", "restart=0", "nodes=b", f"started={NOW + 60}", "exit=0", f"ended={NOW + 90}")
    again = load_run(run.folder)
    assert (again.record.status, again.record.job.job_id, again.record.ended) == ("running", "8", None)
    job = JobState(job_id="8", state="COMPLETED", work_dir=str(run.folder), started_s=NOW + 60, ended_s=NOW + 90)
    reconcile(again, QueueView(states={"8": job}))
    assert [it.job_id for it in on_disk(run).attempts] == ["7", "8"]
    assert load_run(run.folder).record.status == "completed"


def test_ranks_that_saved_ahead_of_the_time_limit_ended_by_it(run: StoredRun) -> None:
    attempt(run, 0, "job=7", "nodes=a", f"started={NOW}", f"signal=USR1 {NOW + 5}", "exit=124", f"ended={NOW + 9}")
    error = reconcile(run, slurm_says(run, "FAILED", started_s=NOW, ended_s=NOW + 9, exit_code=124)).record.error
    assert error is not None and error.cause is not None and error.cause.name == "time-limit"


def test_ranks_that_did_not_listen_yet_when_they_were_asked_to_save_ended_by_the_time_limit(run: StoredRun) -> None:
    said = f"signal=USR1 {NOW + 5}"
    attempt(run, 0, "job=7", "nodes=a", f"started={NOW}", said, "exit=143", f"ended={NOW + 9}", ranks=(143, 143))
    error = reconcile(run, slurm_says(run, "FAILED", started_s=NOW, ended_s=NOW + 9, exit_code=143)).record.error
    assert error is not None and error.cause is not None and error.cause.name == "time-limit"


def test_a_folder_removed_under_a_run_is_told(run: StoredRun) -> None:
    shutil.rmtree(run.folder)
    told = reconcile(run, slurm_says(run, "RUNNING", started_s=NOW))
    assert told.removed and on_disk(run).status == "running"
    error = reconcile(told, slurm_says(run, "FAILED", started_s=NOW, ended_s=NOW + 9, exit_code=125)).record.error
    assert error is not None and error.cause is not None and error.cause.name == "folder-removed"


def test_facts_being_written_are_read_as_far_as_they_are_whole(run: StoredRun) -> None:
    attempt(
        run,
        10,
        "job=7",
        "nodes=a b",
        f"signal=USR1 {NOW}",
        f"signal=TERM {NOW}",
        "excluded=b",
        "rubbish",
        "started=inf",
        "ended=99999999999999",
        "restart=-1",
        "resumed=1e30",
        "log_start=12",
    )
    attempt(run, 2, "job=7", "exit=")
    with (run.folder / "attempts/10/facts").open("a") as facts:
        facts.write("exit=1")  # no end of line yet: it may become exit=137
    (run.folder / "attempts/10/ranks/3.exit").write_text("")
    second, tenth = read_attempts(run.paths)
    assert (second.number, tenth.number) == (2, 10)
    assert (tenth.signals, tenth.excluded, tenth.log_start_bytes) == (("USR1", "TERM"), ("b",), 12)
    assert (tenth.started_s, tenth.ended_s, tenth.restart, tenth.resumed_step) == (None,) * 4
    assert second.exit_code is None and tenth.exit_code is None and read_exits(run.paths, 10) == {}


def test_a_removed_folder_is_made_again_from_the_copy(run: StoredRun) -> None:
    copy_path(run.folder).parent.mkdir()
    save(run.record, copy_path(run.folder), {})
    shutil.rmtree(run.folder)
    (found,) = list_runs(run.folder.parent).runs
    assert found.removed and found.record == run.record
    assert reconcile(found, slurm_says(run, "PENDING")).record == on_disk(run)
    assert reconcile(load_run(run.folder), slurm_says(run, "CANCELLED", ended_s=NOW)).record.status == "cancelled"
    assert not copy_path(run.folder).exists()
    assert not load_run(run.folder).removed


def test_a_launch_that_died_before_sbatch_is_told_once_slurm_knows_of_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (programs / "sacct").write_text("#!/bin/sh\necho 'Slurm accounting storage is disabled' >&2\nexit 1\n")
    (programs / "sacct").chmod(0o755)
    (programs / "squeue").symlink_to("/bin/false")
    long_ago, just_now = (
        stored(tmp_path / name, job_id=None, created_s=time.time() - age) for name, age in (("old", 600), ("new", 0))
    )
    assert [it.record.status for it in reconcile_all([long_ago, just_now]).runs] == ["submitted", "submitted"]
    (programs / "squeue").unlink()
    (programs / "squeue").symlink_to("/bin/true")
    told, waiting = reconcile_all([long_ago, just_now]).runs
    assert waiting == just_now
    assert told.record.status == "failed" and told.record.error is not None and told.record.error.cause is not None
    assert told.record.error.cause.name == "never-submitted"


def test_a_job_that_is_found_again_is_looked_for_on_its_own_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.runs.reconcile.recover_job.cluster_name", lambda: "alps")
    queued, begun = (stored(tmp_path / name, job_id=None) for name in ("queued", "begun"))
    attempt(begun, 0, "job=9", "cluster=jura")
    lost = FoundJobs(jobs={queued.submitted_in: JobState(job_id="8", state="PENDING")})
    assert [(job.job_id, job.cluster) for job in (recovered(run, lost).job for run in (queued, begun))] == [
        ("8", "alps"),
        ("9", "jura"),
    ]


def test_a_launch_that_another_cluster_s_user_saw_die_is_left_to_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its own Slurm knows whether it took the job."""
    run = stored(tmp_path / "old", job_id=None, created_s=time.time() - 600)
    run = replace(run, record=replace(run.record, job=replace(run.record.job, cluster="alps")))
    for here, status in (("jura", "submitted"), ("alps", "failed")):
        monkeypatch.setattr("harness.launch.slurm.command.cluster_name", lambda here=here: here)
        assert recovered(run, FoundJobs()).status == status


def test_where_nothing_can_be_locked_a_run_is_supervised_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Lustre without its flock option; whether it still is, nobody can tell then."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    run = stored(tmp_path / "here", on="local", job_id=None)
    with supervising(run.paths):
        assert is_supervised(run.paths) is None
        assert reconcile(run, QueueView()).record.status == "running"


@pytest.fixture
def stranger() -> Iterator[Callable[[], None]]:
    """Makes this process another user, who reads nothing that is closed to others."""
    before = os.geteuid()
    yield lambda: os.seteuid(65534) if before == 0 else None
    os.seteuid(before)


def test_a_folder_that_someone_closed_is_neither_removed_nor_in_the_way(stranger: Callable[[], None]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        closed, other = stored(root / "closed"), stored(root / "open")
        for run in (closed, other):
            copy_path(run.folder).parent.mkdir(exist_ok=True)
            save(run.record, copy_path(run.folder), {})
        for folder in (root, root / "open", copy_path(root / "open").parent):
            folder.chmod(0o755)
        closed.folder.chmod(0)
        stranger()
        listed = list_runs(root)
        assert ([run.folder.name for run in listed.runs], listed.warnings) == (["open"], ())
        reconciled = reconcile(replace(closed, stamp=(1, 2, 3)), QueueView())
        assert (reconciled.record, reconciled.removed) == (closed.record, False)
        assert reconciled.problem is not None and "Permission denied" in reconciled.problem
        os.seteuid(os.getuid())
        closed.folder.chmod(0o700)


SUPERVISOR = """
import subprocess, sys, time
from pathlib import Path
from harness.launch.supervisor_lock import supervising
from harness.launch.rundir import RunPaths
with supervising(RunPaths(Path(sys.argv[1]))):
    subprocess.Popen(["sleep", "600"], env={"RUN_DIR": sys.argv[1], "PATH": "/usr/bin:/bin"}, start_new_session=True)
    print("ready", flush=True)
    time.sleep(600)
"""


def test_a_run_on_another_machine_ends_when_its_record_says_so(tmp_path: Path) -> None:
    run = stored(tmp_path / "run", on="local", job_id=None)
    run.paths.owner.write_text("7 another-host\n")
    assert reconcile(run, QueueView()).record.status == run.record.status
    save(replace(run.record, status="completed"), run.paths.record, {})
    assert reconcile(run, QueueView()).record.status == "completed"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[tuple[StoredRun, "subprocess.Popen[str]"]]:
    """A run on this machine, its supervisor, and a rank of it that outlives the supervisor."""
    run = stored(tmp_path / "here", on="local", job_id=None)
    command = [sys.executable, "-c", SUPERVISOR, str(run.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None and supervisor.stdout.readline() == "ready\n"
        yield run, supervisor
        supervisor.kill()
    end_leftovers(run.folder)


def test_a_supervisor_that_was_killed_leaves_a_run_that_is_told_when_its_ranks_are_gone(
    here: tuple[StoredRun, "subprocess.Popen[str]"],
) -> None:
    run, supervisor = here
    assert reconcile(run, QueueView()) == run
    supervisor.kill()
    supervisor.wait()
    assert reconcile(run, QueueView()) == run
    end_leftovers(run.folder)
    record = reconcile(run, QueueView()).record
    assert record.status == "failed" and record.error is not None and record.error.cause is not None
    assert record.error.cause.name == "supervisor-gone"
    assert record.ended is not None and epoch_of(record.ended) >= NOW


def test_a_run_of_an_older_version_that_runs_again_keeps_its_samples(tmp_path: Path) -> None:
    """Someone submitted its script again by hand."""
    document = json.loads((RECORDS / "version-2.json").read_text())
    document["job"] |= {"on": "slurm", "job_id": "4711"}
    (folder := tmp_path / document["run_id"]).mkdir()
    (folder / "record.json").write_text(json.dumps(document))
    (folder / "attempts/5").mkdir(parents=True)
    (folder / "attempts/5/facts").write_text("job=4712\nstarted=1900000000\n")
    job = JobState(job_id="4712", state="RUNNING", nodes=("n1",), started_s=1_900_000_000)
    running, _ = reconcile_one(load_run(folder), QueueView(states={"4712": job}))
    assert (running.problem, running.record.status) == (None, "running")
    assert json.loads(running.paths.record.read_text())["schema_version"] == SCHEMA_VERSION
    assert load_samples(running.paths) == document["samples"]

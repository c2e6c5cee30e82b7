"""A run whose program is this process: what becomes of its log, of the work and of the process."""

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import screen
from harness.config.cluster import resolve_cluster
from harness.config.request import Request
from harness.config.roots import Roots
from harness.conversion.job import conversion_job
from harness.errors import ConfigError, EnvironmentProblem
from harness.launch.run import open_run
from harness.runs.in_process_run import WriteLine, run_in_process
from harness.runs.render_job import render_job
from harness.runs.store import list_runs


@pytest.fixture
def run_work(tmp_path: Path) -> Callable[[Callable[[WriteLine], None]], None]:
    """Does some work as a run."""
    environ = {**os.environ, "OUTPUT_PATH": str(tmp_path)}
    asked = Request(environ=environ, default_cluster="laptop", executor="local")
    resolved = resolve_cluster(asked, Roots.standard(), needed=("OUTPUT_PATH",))
    job = conversion_job(resolved, "local", tmp_path / "target", ["a", "b"], threads=1)
    run = open_run(resolved, render_job(resolved, job))
    return lambda work: run_in_process(run, resolved, work, screen)


def ends(folder: Path) -> list[tuple[str, int | None]]:
    """Status and exit code of every run."""
    records = [run.record for run in list_runs(folder).runs]
    return [(record.status, record.error.exit_code if record.error else None) for record in records]


def test_what_is_refused_before_it_begins_leaves_nothing(run_work, tmp_path: Path) -> None:
    def refuse(_write: WriteLine) -> None:
        raise ConfigError("not there")

    with pytest.raises(ConfigError):
        run_work(refuse)
    assert ends(tmp_path) == []


def test_what_is_refused_halfway_is_a_failed_run(run_work, tmp_path: Path) -> None:
    def refuse(write: WriteLine) -> None:
        write("begun")
        raise ConfigError("not a number")

    with pytest.raises(ConfigError):
        run_work(refuse)
    assert ends(tmp_path) == [("failed", 2)]


def test_a_log_that_cannot_grow_ends_no_work(run_work, tmp_path: Path) -> None:
    """The system itself refuses to write more than 4 KiB."""

    def work(write: WriteLine) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            write("x" * 5000)
            write("y" * 5000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    run_work(work)
    assert ends(tmp_path) == [("completed", None)]


def test_what_is_done_stays_done_though_the_record_cannot_be_written(run_work, capsys) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        run_work(lambda _write: resource.setrlimit(resource.RLIMIT_FSIZE, (16, limits[1])))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "notice: " in (told := capsys.readouterr().err) and "cannot write the run's record" in told


def test_why_it_failed_is_told_though_the_record_cannot_be_written(run_work, capsys) -> None:
    def work(write: WriteLine) -> None:
        write("begun")
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, limits[1]))
        raise EnvironmentProblem("/mnt/target: no space left")

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(EnvironmentProblem, match="/mnt/target: no space left"):
            run_work(work)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot write the run's record" in capsys.readouterr().err


def test_sigterm_is_a_cancelled_run(run_work, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_work(lambda _write: os.kill(os.getpid(), signal.SIGTERM))
    assert ends(tmp_path) == [("cancelled", 130)]

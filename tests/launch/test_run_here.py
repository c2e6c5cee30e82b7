"""Real runs on this machine: torchrun with small programs in Megatron's place."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rendered_training import rendered_training

from harness.config.provenance import Resolved
from harness.launch.processes import processes_of
from harness.launch.run import Outcome, Run, run_here
from harness.runs.triage.rank_error import find_rank_error
from harness.training.open_training import open_training

pytestmark = pytest.mark.slow

type Start = Callable[[str], Run]
type Drive = Callable[[Run], subprocess.Popen[str]]

# A rank with a child in a session of its own, which no process group of ours reaches.
STAYS = """
import os, signal, subprocess, time
subprocess.Popen(["sleep", "600"], start_new_session=True)
{prologue}
print("up", flush=True)
time.sleep(600)
"""

# The same call as a command of its own, so that signals reach a process that is only that.
DRIVER = """
import json, sys
from pathlib import Path
from harness.launch.run import Run, run_here
from harness.launch.rundir import RunPaths
run = Run(job=None, paths=RunPaths(Path(sys.argv[1])), notices=())
outcome = run_here(run, lambda line: print(line, flush=True))
print(json.dumps([outcome.status, outcome.exit_code]))
"""


@pytest.fixture
def start(tmp_path: Path, configured: Callable[..., Resolved], monkeypatch: pytest.MonkeyPatch) -> Start:
    """Opens a run whose two ranks run the given text."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # A checkout runs by the `python` on PATH, as the user's own environment has it.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")

    def opened(text: str) -> Run:
        (tmp_path / "pretrain_gpt.py").write_text(text)
        resolved = configured(
            {"--title": "it's $(id)\nhere"}, MEGATRON_PATH=str(tmp_path), OUTPUT_PATH=str(tmp_path / "my runs")
        )
        return open_training(resolved, rendered_training(resolved, "interactive"))

    return opened


@pytest.fixture
def drive() -> Iterator[Drive]:
    """Starts an opened run as a command, and returns when its two ranks are up."""
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
    started: list[subprocess.Popen[str]] = []

    def up(opened: Run) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", DRIVER, str(opened.paths.root)]
        driver = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True)
        started.append(driver)
        deadline = time.monotonic() + 60
        while not opened.paths.log.exists() or opened.paths.log.read_text().count("up") < 2:
            assert time.monotonic() < deadline, "the ranks did not come up"
            time.sleep(0.1)
        return driver

    yield up
    for driver in started:
        driver.terminate()
        driver.communicate(timeout=30)


def run(opened: Run) -> tuple[Outcome, list[str]]:
    """Runs to the end; the outcome and the lines that were shown."""
    lines: list[str] = []
    return run_here(opened, lines.append), lines


def test_a_run_that_succeeds(start: Start) -> None:
    opened = start(
        "import os, subprocess, sys\n"
        'subprocess.Popen(["sleep", "600"], start_new_session=True)\n'
        'print(os.environ["RANK"], os.environ["WORLD_SIZE"], os.environ["OMP_NUM_THREADS"], sys.argv[1:])\n'
        'print("warned", file=sys.stderr, end="")\n'
    )
    outcome, lines = run(opened)
    assert outcome == Outcome(status="completed", exit_code=0)
    assert sorted(lines) == [
        "0: 0 2 1 ['--title', \"it's $(id)\\nhere\"]",
        "0: warned",
        "1: 1 2 1 ['--title', \"it's $(id)\\nhere\"]",
        "1: warned",
    ]
    assert opened.paths.log.read_text().splitlines() == lines
    assert processes_of(opened.paths.root) == []


def test_a_rank_that_dies_is_shown_in_its_own_words_though_its_peer_complains_too(start: Start) -> None:
    opened = start(
        "import torch, torch.distributed as dist\n"
        'dist.init_process_group("gloo")\n'
        "if dist.get_rank() == 1:\n"
        '    raise ValueError("top_k > experts")\n'
        "dist.all_reduce(torch.ones(1))\n"
    )
    outcome, lines = run(opened)
    assert outcome == Outcome(status="failed", exit_code=1)
    error = find_rank_error(opened.paths)
    assert (error.rank, error.exit_code) == (1, 1)
    assert error.text.startswith("Traceback (most recent call last):\n")
    assert error.text.endswith("ValueError: top_k > experts")
    assert not any("ChildFailedError" in line for line in lines)


def test_a_rank_that_is_killed(start: Start) -> None:
    opened = start('import os, time\nif os.environ["RANK"] == "1":\n    os.kill(os.getpid(), 9)\ntime.sleep(600)\n')
    outcome, _ = run(opened)
    error = find_rank_error(opened.paths)
    assert (outcome.status, error.rank, error.exit_code) == ("failed", 1, 137)
    assert error.text.startswith("killed by SIGKILL")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_term_end_all_ranks_and_their_children(start: Start, drive: Drive, signum: signal.Signals) -> None:
    opened = start(STAYS.format(prologue=""))
    driver = drive(opened)
    assert len(processes_of(opened.paths.root)) >= 5  # torchrun, two ranks, two children
    driver.send_signal(signum)
    output, _ = driver.communicate(timeout=30)
    assert json.loads(output.splitlines()[-1]) == ["cancelled", 128 + signum]
    assert processes_of(opened.paths.root) == []


def test_a_second_ctrl_c_does_not_wait_for_ranks_that_will_not_go(start: Start, drive: Drive) -> None:
    opened = start(STAYS.format(prologue="signal.signal(signal.SIGTERM, signal.SIG_IGN)"))
    driver = drive(opened)
    driver.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert driver.poll() is None
    began = time.monotonic()
    driver.send_signal(signal.SIGINT)
    output, _ = driver.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert json.loads(output.splitlines()[-1]) == ["cancelled", 128 + signal.SIGINT]
    assert processes_of(opened.paths.root) == []

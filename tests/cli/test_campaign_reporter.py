"""What of a campaign's jobs is shown as they go."""

from pathlib import Path

import pytest
from stored_records import load_version

from harness.cli import campaign_reporter
from harness.cli.campaign_reporter import STEP_EVERY_S, ScreenReporter
from harness.runs.store import StoredRun
from harness.runs.watch.watch import Ended, SlurmSilent, Stepped
from harness.training.log.samples import StepSample

RUN = StoredRun(folder=Path("/runs/one"), record=load_version(1))
STEPS = [Stepped(run=RUN, step=StepSample(iteration=number, train_iters=50, step_s=1.0)) for number in (1, 2, 3)]


def test_steps_are_shown_now_and_then_and_all_else_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(campaign_reporter.time, "monotonic", lambda: now_s[0])
    reporter = ScreenReporter()
    reporter.event("EP=1", STEPS[0])
    reporter.event("EP=2", STEPS[0])
    now_s[0] += STEP_EVERY_S - 0.1
    reporter.event("EP=1", STEPS[1])
    reporter.event("EP=1", Ended(run=RUN))
    now_s[0] += 0.1
    reporter.event("EP=1", STEPS[2])
    reporter.event(None, SlurmSilent(why=None))
    iterations = [step.step.number for step in STEPS]
    shown = [line.split("/")[0] for line in capsys.readouterr().err.splitlines()]
    assert shown == [
        f"EP=1: step {iterations[0]}",
        f"EP=2: step {iterations[0]}",
        "EP=1: ended, completed; run: ",
        f"EP=1: step {iterations[2]}",
        "Slurm answers again",
    ]

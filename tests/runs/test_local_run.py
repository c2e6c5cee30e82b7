"""A run on this node, before its ranks are there."""

import os
import signal
from pathlib import Path

import pytest
from rendered_training import rendered_training

from harness.runs.local_run import run_local
from harness.runs.store import list_runs
from harness.training.open_training import open_training


class CancelledAtOnce:
    """Reports nothing; the first message of progress, which comes before the ranks, is when `runs cancel` comes."""

    def progress(self, _text: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def notice(self, text: str) -> None: ...

    def error(self, text: str) -> None: ...


def test_a_run_that_is_cancelled_before_its_ranks_start_says_so(resolve, tmp_path: Path) -> None:
    resolved = resolve("MODEL=DeepSeek-V2-Lite", f"OUTPUT_PATH={tmp_path}")
    run = open_training(resolved, rendered_training(resolved, "local"))
    with pytest.raises(KeyboardInterrupt):
        run_local(run, resolved, reporter=CancelledAtOnce(), on_step=lambda _step: None)
    assert [stored.record.status for stored in list_runs(tmp_path).runs] == ["cancelled"]

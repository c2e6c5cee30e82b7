"""Odd words for the verbs that read runs: one message each, exit code 2, no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest
from cli_command import CODE, moe_harness

LONG = "x" * 300


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runs", "show", LONG), "there are no runs in"),
        (("runs", "show", "~nobody-of-this-name/x"), "there are no runs in"),
        (("runs", "watch", "a\nb"), "there are no runs in"),
        (("runs", "list", "--output-path", LONG), "is no folder"),
        (("runs", "list", "--output-path", "/etc/passwd"), "is no folder"),
        (("runs", "list", "--since", "999999d"), "is neither like 2d, 12h or 30m nor a date"),
        (("runs", "watch", "--every", "nan"), "is no time"),
        (("runs", "cancel"), "name the runs, or give --all"),
    ],
)
def test_it_is_told(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    answer = moe_harness(*words, here=tmp_path)
    assert answer.code == 2
    assert said in answer.err and "Traceback" not in answer.err


def test_what_cannot_be_printed_is_told(tmp_path: Path) -> None:
    words = [sys.executable, "-c", CODE, "releases", "list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: what was to be printed: No space left on device\n"

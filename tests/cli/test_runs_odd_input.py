"""Odd words for the verbs that read runs: one message each, exit code 2, no traceback."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cli_command import CODE, moe_harness
from stored_records import load_version

from harness.runs.record_file import save

LONG = "x" * 300
RECORDS = Path(__file__).parents[1] / "fixtures/records"


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


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "2>/dev/full"])
def test_streams_that_cannot_be_written_break_nothing_off(closed: str, tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-c", CODE, "runs", "list"])
    done = subprocess.run(["bash", "-c", f"{command} {closed}"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [(), ("runs",)])
def test_without_a_verb_the_help_is_shown_once(words: tuple[str, ...], tmp_path: Path) -> None:
    answer = moe_harness(*words, here=tmp_path)
    assert answer.code == 2 and answer.errors == []
    assert answer.err.count("Usage: moe-harness") == 1 and "Verbs:" in answer.err


def test_a_stream_that_says_why_and_is_full_too(tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-c", CODE, "runs", "show", "nope"])
    assert subprocess.run(["bash", "-c", f"{command} 2>/dev/full"], cwd=tmp_path).returncode == 2


def test_an_exported_folder_that_is_none_is_noticed(tmp_path: Path) -> None:
    answer = moe_harness("runs", "list", "--json", here=tmp_path, environ={"OUTPUT_PATH": "/no/such"})
    assert (answer.code, answer.out) == (0, "[]\n")
    assert answer.err == "notice: OUTPUT_PATH=/no/such is no folder, so there are no runs in it\n"


def test_names_and_words_of_others_are_shown_as_text(tmp_path: Path) -> None:
    """A name that is not UTF-8, a traceback that would set the terminal's title, a folder that was moved."""
    odd = os.fsdecode(b"runs\xff")
    record = json.loads((RECORDS / "version-2.json").read_text())
    cause = {"name": "killed", "text": "It was killed.", "change": "Ask.", "evidence": "0: \x1b[2J killed"}
    error = {"exit_code": 1, "traceback": "\x1b]0;mine\x07\x1b[2J boom", "rank": 0, "cause": cause}
    record |= {"status": "failed", "error": error}
    (tmp_path / odd / record["run_id"]).mkdir(parents=True)
    (tmp_path / odd / record["run_id"] / "record.json").write_text(json.dumps(record))
    strict = {"PYTHONIOENCODING": "utf-8:strict", "OUTPUT_PATH": odd}
    shown = moe_harness("runs", "show", record["run_id"], here=tmp_path, environ=strict)
    assert shown.code == 0, shown.err
    assert r"\x1b]0;mine\x07\x1b[2J boom" in shown.out and r"0: \x1b[2J killed" in shown.out and "\x1b" not in shown.out
    assert rf"record: {tmp_path}/runs\udcff/{record['run_id']}/record.json" in shown.out
    listed = moe_harness("runs", "list", "--json", here=tmp_path, environ=strict)
    assert json.loads(listed.out)[0]["folder"] == f"{tmp_path}/{odd}/{record['run_id']}"


def test_what_cannot_be_printed_is_told(tmp_path: Path) -> None:
    words = [sys.executable, "-c", CODE, "releases", "list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: what was to be printed: No space left on device\n"


def test_an_arrays_job_id_means_all_its_tasks(tmp_path: Path) -> None:
    record = load_version(3)
    for task in (10, 2):
        name = f"shard-{task}"
        (tmp_path / name).mkdir()
        job = replace(record.job, job_id=f"4711_{task}", task=task)
        save(replace(record, run_id=name, job=job, attempts=()), tmp_path / name / "record.json", {})
    one = moe_harness("runs", "show", "4711_10", "--output-path", str(tmp_path), here=tmp_path)
    assert one.code == 0 and "shard-10" in one.out and "job                               4711_10 on alps" in one.out
    several = moe_harness("runs", "show", "4711", "--output-path", str(tmp_path), here=tmp_path)
    assert (several.code, several.errors) == (
        2,
        ["4711: this array job has 2 runs, 4711_2 to 4711_10; name one of them"],
    )
    over = moe_harness("runs", "cancel", "4711", "--output-path", str(tmp_path), here=tmp_path)
    assert over.err == "".join(f"notice: shard-{task}: has already ended, completed\n" for task in (2, 10))

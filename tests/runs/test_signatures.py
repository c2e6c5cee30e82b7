"""Every signature knows its fault's log, and no other's; a healthy log holds none; grep and Python agree."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from harness.config.releases import catalogue
from harness.config.schema import SETTINGS
from harness.runs.triage.log_search import SEARCHED_BYTES, matching_lines
from harness.runs.triage.signatures import pattern_of, signatures

FIXTURES = Path(__file__).parents[1] / "fixtures"
FAULTS = sorted((FIXTURES / "faults").glob("*.log"))
HEALTHY = sorted((FIXTURES / "logs").glob("*.log"))
OF_SLURM_OR_SIGNAL = {"killed", "deadline"}
"""Signatures that no line tells of."""


def grep(pattern: str, path: Path) -> list[str]:
    """The lines that `grep -E` finds, as the job's script calls it."""
    command = ["grep", "-a", "-E", "-e", pattern, str(path)]
    found = subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    assert found.returncode < 2, found.stderr
    return found.stdout.decode(errors="replace").splitlines()


def python_grep(pattern: str, path: Path) -> list[str]:
    """The lines that Python's re finds."""
    return [line for line in path.read_text().split("\n")[:-1] if re.search(pattern, line)]


def test_every_signature_has_a_fault_s_log() -> None:
    with_log = {path.name.partition(".")[0] for path in FAULTS}
    assert with_log == {it.name for it in signatures()} - OF_SLURM_OR_SIGNAL


def test_every_fault_s_log_says_how_it_was_made() -> None:
    made = ("# Really run on ", "# Written from the texts in the signature's source")
    assert [path.name for path in FAULTS if not path.read_text().startswith(made)] == []


def test_a_cause_has_one_name_one_source_and_something_to_change() -> None:
    names = [it.name for it in signatures()]
    assert len(set(names)) == len(names)
    assert all(it.text.endswith(".") and it.change and it.source for it in signatures())
    assert all(it.patterns or it.states or it.exit_codes for it in signatures())


def test_only_what_passes_by_itself_is_started_again() -> None:
    transient = {it.name for it in signatures() if it.transient}
    assert transient == {"node-failure", "preemption", "nccl-timeout", "ib-error", "gpu-hardware"}


@pytest.mark.parametrize("path", [*FAULTS, *HEALTHY], ids=lambda path: path.name)
def test_grep_and_python_find_the_same_lines(path: Path) -> None:
    pattern = "|".join(pattern for it in signatures() for pattern in it.patterns)
    assert grep(pattern, path) == python_grep(pattern, path) == list(matching_lines(path))


@pytest.mark.parametrize("pattern", [pattern for it in signatures() for pattern in it.patterns])
def test_each_pattern_is_one_that_both_read(pattern: str) -> None:
    assert not re.search(r"\\[a-zA-Z0-9]|\(\?|[*+?}][?+]", pattern)


@pytest.mark.parametrize("path", HEALTHY, ids=lambda path: path.name)
def test_a_healthy_log_holds_no_signature(path: Path) -> None:
    assert matching_lines(path) == ()


def test_no_argument_that_megatron_prints_is_taken_for_a_fault(tmp_path: Path) -> None:
    """It prints every argument with its value: `check_for_nan_in_loss_and_grad ............ True`."""
    names = {
        flag.lstrip("-").replace("-", "_") for minor in catalogue.known() for flag in catalogue.load(minor).options
    }
    assert "distributed_timeout_minutes" in names
    log = tmp_path / "log"
    log.write_text("".join(f"0:   {name} {'.' * 40} True\n" for name in sorted(names)))
    assert matching_lines(log) == ()


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.name)
def test_the_job_s_script_tells_what_passes_from_what_does_not(path: Path) -> None:
    """As the script decides of ranks that all ended by themselves: nothing permanent may be there."""
    kinds = {it.name: it.kind for it in signatures()}
    transient = grep(pattern_of(it for it in signatures() if it.transient), path)
    persistent = grep(pattern_of(it for it in signatures() if it.persistent), path)
    assert (bool(transient) and not persistent) == (kinds[path.name.partition(".")[0]] == "transient")


def test_only_the_attempt_s_own_part_of_a_log_is_searched(tmp_path: Path) -> None:
    log = tmp_path / "log"
    before = "0: torch.OutOfMemoryError: CUDA out of memory\n"
    log.write_text(f"{before}0: again\n1: No space left on device\n")
    assert matching_lines(log, start_bytes=len(before)) == ("1: No space left on device",)
    assert matching_lines(log, start_bytes=10**6) == matching_lines(log)  # begun anew: it is shorter than it was
    assert matching_lines(tmp_path / "none") == ()


def test_of_a_huge_log_the_end_is_searched(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.write(b"0: Segmentation fault\n")
        file.seek(SEARCHED_BYTES + 100)  # a hole, which takes no disk
        file.write(b"\n0: No space left on device\n")
    assert matching_lines(log) == ("0: No space left on device",)


def test_the_flags_and_settings_to_change_exist() -> None:
    of_others = {"--mem", "--gpus-per-node", "--deadline", "--help", "--mpi", "--shm-size"}  # Slurm, docker
    flags = {flag for it in signatures() for flag in re.findall(r"--[a-z][a-z0-9-]+", it.change)} - of_others
    assert {flag for flag in flags if not catalogue.releases_with(flag)} == set()
    ours = r"\b(RUN|SAVE|TRAIN|DATA|OUTPUT|CONTAINER|TOKENIZER|GPUS|MEGATRON)_[A-Z_]+|\bRETRIES\b"
    assert {found[0] for it in signatures() for found in re.finditer(ours, it.change)} <= SETTINGS.keys()

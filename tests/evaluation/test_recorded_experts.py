"""Experts of a series' checkpoints, kept beside the results."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from harness.errors import EnvironmentProblem
from harness.evaluation import recorded_experts
from harness.evaluation.recorded_experts import read_experts, write_experts

EXPERTS = {"layer_1": np.array([[1, 65535], [3, 0]], np.uint16), "mtp_0": np.array([[2, 1], [0, 3]], np.uint16)}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """By the identity of the evaluation; of another one there is nothing."""
    write_experts(tmp_path / "eval", "a" * 64, EXPERTS)
    found = read_experts(tmp_path / "eval", "a" * 64)
    assert found is not None
    assert found.keys() == EXPERTS.keys()
    for name, experts in EXPERTS.items():
        np.testing.assert_array_equal(found[name], experts)
    assert read_experts(tmp_path / "eval", "b" * 64) is None


def test_a_damaged_file_is_none(tmp_path: Path) -> None:
    """Cut short, or no archive at all."""
    write_experts(tmp_path, "a" * 64, EXPERTS)
    (path,) = tmp_path.iterdir()
    for content in (path.read_bytes()[:-40], b"text"):
        path.write_bytes(content)
        assert read_experts(tmp_path, "a" * 64) is None


def test_of_too_many_tokens_the_first_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large model's million tokens are more than a file should hold; saturation is told all the same."""
    monkeypatch.setattr(recorded_experts, "MOST_ASSIGNMENTS", 7)
    write_experts(tmp_path, "a" * 64, EXPERTS)
    found = read_experts(tmp_path, "a" * 64)
    assert found is not None
    assert {name: experts.tolist() for name, experts in found.items()} == {"layer_1": [[1, 65535]], "mtp_0": [[2, 1]]}


def test_two_evaluations_write_the_same_at_once(tmp_path: Path) -> None:
    """Neither fails, and the file is whole whoever ends last."""
    many = {"layer_0": np.random.default_rng(0).integers(0, 64, (300_000, 2)).astype(np.uint16)}
    with ThreadPoolExecutor(4) as writers:
        list(writers.map(lambda _: write_experts(tmp_path, "a" * 64, many), range(8)))
    found = read_experts(tmp_path, "a" * 64)
    assert found is not None
    np.testing.assert_array_equal(found["layer_0"], many["layer_0"])
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Says which, and why."""
    (tmp_path / "eval").write_text("a file")
    with pytest.raises(EnvironmentProblem, match=r"routing_aaaaaaaaaaaaaaaa\.npz: cannot write the experts of tokens"):
        write_experts(tmp_path / "eval", "a" * 64, EXPERTS)

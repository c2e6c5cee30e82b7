"""Experts of a series' checkpoints, kept beside the results."""

from pathlib import Path

import numpy as np
import pytest

from harness.errors import EnvironmentProblem
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


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Says which, and why."""
    (tmp_path / "eval").write_text("a file")
    with pytest.raises(EnvironmentProblem, match=r"routing_aaaaaaaaaaaaaaaa\.npz: cannot write the experts of tokens"):
        write_experts(tmp_path / "eval", "a" * 64, EXPERTS)

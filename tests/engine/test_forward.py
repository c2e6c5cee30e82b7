"""The entry point that computes logits; what it computes is compared in tests/ckpt_convert/test_megatron_logits.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_models import GROUPED_QUERY, ON_CPU, TRAINING

pytestmark = pytest.mark.slow

USAGE = "usage: python -m harness.engine.forward TOKENS.npy OUTPUT.npz <Megatron's arguments>"


def said(ranks: Any, *argv: str, world_size: int = 1) -> set[str]:
    """What the engine says as it refuses; the exit code of every rank is 2."""
    job = ranks.run(*argv, world_size=world_size, task="compute_logits")
    assert set(job.exit_codes) == {2}, job.log[-6000:]
    return {line for line in job.log.splitlines() if line.startswith("engine:")}


def test_refuses_a_command_line_without_files(ranks: Any) -> None:
    """Megatron's own arguments come behind the two files."""
    assert said(ranks, *ON_CPU) == {f"engine: the tokens and the output come first; {USAGE}"}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "cannot read the tokens in"),
        (np.zeros((2, 8)), "holds float64 [2, 8]; save whole numbers [b, s]"),
        (np.zeros(8, dtype=int), "holds int64 [8]; save whole numbers [b, s]"),
    ],
)
def test_refuses_what_are_no_tokens(ranks: Any, tmp_path: Path, content: Any, found: str) -> None:
    """Missing, not whole, not in sequences."""
    tokens = tmp_path / "tokens.npy"
    if content is not None:
        np.save(tokens, content)
    (line,) = said(ranks, str(tokens), str(tmp_path / "out.npz"), *ON_CPU)
    assert found in line


def test_refuses_all_that_is_wrong_at_once(ranks: Any, tmp_path: Path) -> None:
    """No checkpoint, tokens beyond the vocabulary, stages for training."""
    np.save(tmp_path / "tokens.npy", np.full((1, 31), 256))
    mapping = (
        *("--tensor-model-parallel-size", "2", "--sequence-parallel"),
        *("--pipeline-model-parallel-size", "2", "--num-virtual-stages-per-pipeline-rank", "2"),
    )
    argv = (str(tmp_path / "tokens.npy"), str(tmp_path / "out.npz"), *ON_CPU, *TRAINING, *GROUPED_QUERY, *mapping)
    assert said(ranks, *argv, world_size=4) == {
        "engine: --load DIR is missing: there is no checkpoint to compute with",
        "engine: tokens are from 256 to 256; allowed: 0 to 255",
        "engine: --num-virtual-stages-per-pipeline-rank is for training; "
        "leave it out, for the logits do not depend on it",
    }

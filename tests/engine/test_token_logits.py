"""Logits read with a KV cache, step by step, are those of one forward pass."""

from typing import Any

import pytest
from engine_models import ON_CPU
from tiny_checkpoints import TinyCheckpoint, convert_tiny

pytestmark = pytest.mark.slow

GROUPED = "--moe-grouped-gemm"
TP2 = ("--tensor-model-parallel-size", "2", "--sequence-parallel")
MAPPINGS = {
    "one rank": (1, ()),
    "TP2": (2, TP2),
    "PP2": (2, ("--pipeline-model-parallel-size", "2")),
    "EP2": (2, ("--expert-model-parallel-size", "2")),
    "TP2·EP2": (2, (*TP2, "--expert-model-parallel-size", "2", "--expert-tensor-parallel-size", "1")),
}


@pytest.fixture(scope="module", params=["DeepSeek-V3", "Mixtral"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TinyCheckpoint:
    """Latent attention with multi-token prediction, and grouped queries."""
    return convert_tiny(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_cached_steps_equal_the_whole(ranks: Any, checkpoint: TinyCheckpoint, mapping: str) -> None:
    """Prefill, a chunk that goes on from it, and tokens one at a time."""
    world_size, argv = MAPPINGS[mapping]
    words = (str(checkpoint.weights), *checkpoint.flags, *ON_CPU, GROUPED, *argv)
    job = ranks.run(*words, world_size=world_size, task="compare_cached_logits")
    assert set(job.exit_codes) == {0}, job.log[-6000:]

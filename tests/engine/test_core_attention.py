"""The core attention against one written out."""

from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_equals_attention_written_out(ranks: Any) -> None:
    """Multi-head, grouped-query and latent shapes, causal and with a mask, values and gradients."""
    job = ranks.run(task="compare_core_attention")
    assert job.exit_codes == (0,), job.log


@pytest.mark.parametrize("size", [2, 3])
def test_context_parallel_equals_the_whole(ranks: Any, size: int) -> None:
    """Each rank's outputs and gradients are its tokens' part of the whole sequence's."""
    job = ranks.run(task="compare_context_parallel_attention", world_size=size)
    assert set(job.exit_codes) == {0}, job.log

"""What a router chose, as arrays that may be larger than their int64 copies fit in memory: walked in blocks."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DROPPED = 65535
"""Stands for an expert where a token was dropped: no expert got it."""
BLOCK = 1 << 22
"""Assignments that are looked at together: 32 MiB as int64."""


class AssignmentCounts(NamedTuple):
    """Assignments per micro-batch and expert, int64 [batches, E], and how many were `dropped`."""

    per_batch: NDArray[np.int64]
    dropped: int

    @property
    def per_expert(self) -> NDArray[np.int64]:
        """Assignments per expert, int64 [E]."""
        return self.per_batch.sum(axis=0)


def count_assignments(experts: NDArray[np.uint16], num_experts: int, batch_tokens: Sequence[int]) -> AssignmentCounts:
    """Count the experts [T, k] of tokens that came in micro-batches of these sizes.

    ValueError for sizes that are not T together, and for an expert beyond `num_experts`.
    """
    if sum(batch_tokens) != len(experts):
        raise ValueError(f"{len(experts)} tokens in batches of {sum(batch_tokens)}")
    per_batch = np.zeros((len(batch_tokens), num_experts), np.int64)
    start = 0
    for counts, tokens in zip(per_batch, batch_tokens, strict=True):
        for block in token_blocks(experts[start : start + tokens]):
            found = np.bincount(block[block != DROPPED], minlength=num_experts)
            if len(found) > num_experts:
                raise ValueError(f"expert {len(found) - 1} of {num_experts}")
            counts += found
        start += tokens
    return AssignmentCounts(per_batch, experts.size - int(per_batch.sum()))


def token_blocks(experts: NDArray[np.uint16], block: int = BLOCK) -> Iterator[NDArray[np.uint16]]:
    """Rows of `experts` [T, k], as many as make about `block` assignments."""
    rows = max(1, block // max(1, experts.shape[1]))
    for start in range(0, len(experts), rows):
        yield experts[start : start + rows]

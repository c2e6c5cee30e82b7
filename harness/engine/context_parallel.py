"""Megatron's context parallelism: who holds which tokens, and keys and values gathered from all of them.

A sequence of s tokens is cut into 2·cp chunks; rank r holds chunks r and 2·cp-1-r, one after the other, so that each
rank has the same amount of causal attention to do.
"""

from typing import Any

import torch
from megatron.core.tensor_parallel.mappings import gather_from_sequence_parallel_region


def held_chunks(rank: int, size: int) -> tuple[int, int]:
    """The two chunks of the sequence that a rank of a group of `size` ranks holds, in the order it holds them."""
    return rank, 2 * size - 1 - rank


def gather_sequence(part: torch.Tensor, group: Any) -> torch.Tensor:
    """All ranks' tokens in their true order: [s/cp, …] → [s, …]. The backward pass reduce-scatters the gradient."""
    size = group.size()
    by_rank = gather_from_sequence_parallel_region(part, group=group)
    halves = by_rank.unflatten(0, (size, 2, -1))
    return torch.cat((halves[:, 0], halves[:, 1].flip(0))).flatten(0, 1)

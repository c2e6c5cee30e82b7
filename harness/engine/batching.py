"""Sequences put into batches: the longest first, and as many in one as their tokens allow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BatchLimit:
    """At most so many tokens a batch, padding counted, or exactly so many sequences if `sequences` is not 0."""

    tokens: int
    sequences: int = 0

    def allows(self, sequences: int, longest: int) -> bool:
        """Whether so many sequences, padded to the longest, may be one batch."""
        if self.sequences:
            return sequences <= self.sequences
        return sequences == 1 or sequences * longest <= self.tokens


def batches_of[Item](
    items: Sequence[Item], length: Callable[[Item], int], limit: BatchLimit, *, spread: int | None = None
) -> list[list[Item]]:
    """The items by falling length, cut into batches: out of memory, if it is to come, comes first.

    Lengths of a batch differ by `spread` at most, if it is given.
    """
    batches: list[list[Item]] = []
    longest = 0
    for item in sorted(items, key=length, reverse=True):
        is_near = spread is None or longest - length(item) <= spread
        if not batches or not is_near or not limit.allows(len(batches[-1]) + 1, longest):
            batches.append([])
            longest = length(item)
        batches[-1].append(item)
    return batches

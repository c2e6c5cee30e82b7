"""How evenly experts are loaded, of the assignments that each got: int64 [E]. None where nothing was assigned."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError


def gini(counts: NDArray[np.int64]) -> float | None:
    """Σ_i (2i − E − 1) n_(i) / (E Σ n) over ascending n: 0 where all are equal, (E−1)/E where one has all."""
    experts, total = len(counts), int(counts.sum())
    if not total:
        return None
    weights = 2 * np.arange(1, experts + 1) - experts - 1
    return int(weights @ np.sort(counts)) / (experts * total)


def coefficient_of_variation(counts: NDArray[np.int64]) -> float | None:
    """σ/μ with the population's σ: 0 where all are equal, √(E−1) where one has all."""
    return float(counts.std() / counts.mean()) if counts.any() else None


def expert_utilization_rate(counts: NDArray[np.int64]) -> float:
    """The share of experts that got a token."""
    return np.count_nonzero(counts) / len(counts)


def max_over_mean(counts: NDArray[np.int64]) -> float | None:
    """The load of the fullest expert over the mean load."""
    total = int(counts.sum())
    return int(counts.max()) * len(counts) / total if total else None


def max_vio(counts: NDArray[np.int64]) -> float | None:
    """(max n − mean)/mean (arXiv 2408.15664)."""
    load = max_over_mean(counts)
    return None if load is None else load - 1


def max_vio_per_batch(per_batch: NDArray[np.int64]) -> dict[str, float | None]:
    """The mean and the maximum of MaxVio over the micro-batches [batches, E] to which anything was assigned."""
    found = [value for value in map(max_vio, per_batch) if value is not None]
    return {"mean": math.fsum(found) / len(found) if found else None, "max": max(found, default=None)}


def entropy(counts: NDArray[np.int64]) -> float | None:
    """H/ln E of the share of each expert: 1 where all are equal; None for one expert too, which has no choice."""
    if len(counts) == 1 or not counts.any():
        return None
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares @ np.log(shares)) / math.log(len(counts))) + 0.0


def tokens_per_block(counts: NDArray[np.int64], blocks: int) -> list[int]:
    """Assignments of each of `blocks` runs of neighbouring experts, as long as each other: groups, or ranks."""
    return [int(tokens) for tokens in counts.reshape(blocks, -1).sum(axis=1)]


def balancedness(counts: NDArray[np.int64], ep: int) -> dict[str, Any]:
    """The load of `ep` ranks that hold E/ep neighbouring experts each: 1 for mean/max where all are equal."""
    ranks = tokens_per_block(counts, ep)
    return {"ep": ep, "tokens_per_rank": ranks, "mean_over_max": sum(ranks) / (ep * max(ranks)) if any(ranks) else None}


def refuse_uneven(num_experts: int, *, ep: int, groups: int | None) -> None:
    """ConfigError for an expert parallel size, or a number of groups, that does not divide the experts."""
    asked = {"EP": ep, "the number of groups": groups}
    divisors = _divisors(num_experts)
    problems = [
        f"routing: {name} is {count}, which does not divide {num_experts} experts; use one of {divisors}"
        for name, count in asked.items()
        if count is not None and (count < 1 or num_experts % count)
    ]
    if problems:
        raise ConfigError(problems)


def _divisors(number: int) -> str:
    found: Sequence[int] = [divisor for divisor in range(1, number + 1) if number % divisor == 0]
    return ", ".join(map(str, found))

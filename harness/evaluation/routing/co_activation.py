"""Which experts are chosen together: N(a,b)/N(a) over all pairs of a token's experts (OLMoE, arXiv 2409.02060)."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.routing.assignments import DROPPED, token_blocks

MOST_EXPERTS = 64
"""Up to as many experts the whole matrix is written."""
PAIRS = 32
"""As many of the strongest pairs are written of more experts."""
LEAST_LOAD = 0.1
"""Of the mean load; an expert with less is no first of a strongest pair: its shares are chance."""

_DIGITS = 6


def pair_counts(experts: NDArray[np.uint16], num_experts: int) -> NDArray[np.int64]:
    """How many tokens chose both, int64 [E, E], symmetric with an empty diagonal, of `experts` [T, k]."""
    top_k = experts.shape[1]
    found = np.zeros(num_experts**2, np.int64)
    for block in token_blocks(experts):
        columns = block.T.astype(np.int64)
        for first, second in combinations(range(top_k), 2):
            pairs = columns[first] * num_experts + columns[second]
            chosen = (columns[first] != DROPPED) & (columns[second] != DROPPED)
            found += np.bincount(pairs if chosen.all() else pairs[chosen], minlength=num_experts**2)
    ordered = found.reshape(num_experts, num_experts)
    return ordered + ordered.T


def co_activation(experts: NDArray[np.uint16], per_expert: NDArray[np.int64]) -> dict[str, Any] | None:
    """`matrix` [a][b] = N(a,b)/N(a) for up to 64 experts, null for an a without tokens; else the strongest `pairs`.

    None where a token has one expert. `experts` is [T, k], `per_expert` how many tokens chose each, [E].
    """
    if experts.shape[1] < 2:
        return None
    together = pair_counts(experts, len(per_expert))
    if len(per_expert) <= MOST_EXPERTS:
        return {"matrix": _matrix(together, per_expert)}
    return _strongest(together, per_expert)


def _matrix(together: NDArray[np.int64], per_expert: NDArray[np.int64]) -> list[list[float | None]]:
    """An expert is always chosen with itself."""
    whole = together + np.diag(per_expert)
    rows: list[list[float | None]] = []
    for row, tokens in zip(whole, per_expert, strict=True):
        rows.append((row / tokens).round(_DIGITS).tolist() if tokens else [None] * len(row))
    return rows


def _strongest(together: NDArray[np.int64], per_expert: NDArray[np.int64]) -> dict[str, Any]:
    """The pairs of the highest shares, those of more tokens first among equals."""
    least = max(1, int(np.ceil(per_expert.mean() * LEAST_LOAD)))
    shares = np.where(per_expert[:, None] >= least, together / np.maximum(per_expert, 1)[:, None], 0.0)
    order = np.lexsort((-together.ravel(), -shares.ravel()))[:PAIRS]
    pairs = [
        {"a": int(a), "b": int(b), "share": round(float(shares[a, b]), _DIGITS), "tokens": int(together[a, b])}
        for a, b in (divmod(int(place), len(per_expert)) for place in order)
        if shares[a, b] > 0
    ]
    return {"pairs": pairs, "least_tokens": least}

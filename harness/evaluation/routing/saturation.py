"""How early in training a router has settled (OLMoE, arXiv 2409.02060)."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.routing.assignments import DROPPED, token_blocks


def saturation(
    experts: Mapping[str, NDArray[np.uint16]], final: Mapping[str, NDArray[np.uint16]]
) -> dict[str, float | None]:
    """Per layer the mean of |E_t ∩ E_T|/k over the same tokens, each [T, k], at one step and at the last one.

    1 where every token has its final experts; uniform random routing gives k/E. None without tokens. ValueError where
    layers or shapes differ, which no two evaluations of the same tokens do.
    """
    shapes = [{name: of.shape for name, of in each.items()} for each in (experts, final)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"routing of unlike tokens or layers: {shapes[0]} against {shapes[1]}")
    return {name: _layer(of, final[name]) for name, of in experts.items()}


def _layer(experts: NDArray[np.uint16], final: NDArray[np.uint16]) -> float | None:
    if not experts.size:
        return None
    common = 0
    for block, last in zip(token_blocks(experts), token_blocks(final), strict=True):
        for column in block.T:
            chosen = column != DROPPED
            common += int(((last == column[:, None]).any(axis=1) & chosen).sum())
    return common / experts.size

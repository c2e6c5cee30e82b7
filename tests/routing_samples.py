"""Routing that tests make up: uniform at random, always the same for a seed."""

import numpy as np
from numpy.typing import NDArray


def uniform_routing(tokens: int, num_experts: int, top_k: int, seed: int = 0) -> NDArray[np.uint16]:
    """Each token's experts [T, k]: every set of k as likely as another."""
    order = np.random.default_rng(seed).random((tokens, num_experts)).argsort(axis=1)
    return order[:, :top_k].astype(np.uint16)

"""How far apart two equally balanced routers come out when the assignments that made their counts are redrawn.

What is kept of a layer is how many assignments each expert got. If both layers are equally balanced, their sorted
shares are the same but for noise; so both counts are drawn anew from the mean of the two, many times, and the
difference that was found is held against those of the draws: a bootstrap of the null hypothesis (Efron and Tibshirani,
An Introduction to the Bootstrap, 1993, section 16.2). Assignments are drawn as independent; those of one text hang
together, so that a p near the level says less than it seems to.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.compare.significance import ALPHA, Significance

REDRAWS = 499
_SEED = 0

type _Figure = Callable[[NDArray[np.int64]], NDArray[np.float64]]


def redrawn_differences(first: ArrayLike, second: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Differences [REDRAWS] of each figure of balance, from noise alone, of layers with these counts [E] each.

    Which of the two is first makes no difference. ValueError where they have not as many experts, or got nothing.
    """
    counts = sorted((np.sort(np.asarray(each, np.int64)) for each in (first, second)), key=lambda each: int(each.sum()))
    if counts[0].shape != counts[1].shape or not counts[0].any():
        raise ValueError("two layers are compared by the assignments of as many experts")
    shares = sum(each / each.sum() for each in counts) / 2
    rng = np.random.default_rng(_SEED)
    drawn = [rng.multinomial(int(each.sum()), shares, size=REDRAWS) for each in counts]
    return {name: figure(drawn[1]) - figure(drawn[0]) for name, figure in BALANCE.items()}


def mean_of_layers(layers: Sequence[Mapping[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    """The same of the mean over layers, whose noise is independent."""
    rng = np.random.default_rng(_SEED)
    shuffled = [{name: rng.permutation(values) for name, values in layer.items()} for layer in layers]
    return {name: np.mean([layer[name] for layer in shuffled], axis=0) for name in BALANCE}


def by_redraws(difference: float, redrawn: NDArray[np.float64]) -> Significance:
    """Two-sided: the share of redrawn differences at least as large, the one that was found among them."""
    sizes = np.abs(redrawn)
    p = float(1 + np.count_nonzero(sizes >= abs(difference) * (1 - 1e-12))) / (len(sizes) + 1)
    least = float(np.quantile(sizes, 1 - ALPHA, method="higher"))
    method = f"{len(sizes)} redraws of the assignments"
    return Significance(method=method, beyond=p < ALPHA, p=p, least=least)


def _gini(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    experts = counts.shape[-1]
    weights = 2 * np.arange(1, experts + 1) - experts - 1
    return np.asarray(np.sort(counts, axis=-1) @ weights / (experts * counts.sum(axis=-1)), np.float64)


def _cv(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(counts.std(axis=-1) / counts.mean(axis=-1), np.float64)


def _used(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray((counts > 0).mean(axis=-1), np.float64)


def _dead(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray((counts == 0).sum(axis=-1), np.float64)


def _peak(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(counts.max(axis=-1) / counts.mean(axis=-1), np.float64)


def _entropy(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    experts = counts.shape[-1]
    shares = counts / counts.sum(axis=-1, keepdims=True)
    logs = np.log(np.where(shares > 0, shares, 1.0))
    return np.asarray(-(shares * logs).sum(axis=-1) / (np.log(experts) if experts > 1 else 1.0), np.float64)


BALANCE: Mapping[str, _Figure] = {
    "gini_coefficient": _gini,
    "coefficient_of_variation": _cv,
    "expert_utilization_rate": _used,
    "dead_experts": _dead,
    "max_over_mean": _peak,
    "max_vio": lambda counts: _peak(counts) - 1,
    "mean_over_max": lambda counts: 1 / _peak(counts),
    "entropy": _entropy,
}
"""Figures of counts [draws, E], each [draws]: those of `harness.evaluation.routing.balance`, of many layers at once."""

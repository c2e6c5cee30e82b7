"""Balance against redraws of assignments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.compare.redraws import BALANCE, by_redraws, mean_of_layers, redrawn_differences
from harness.compare.significance import ALPHA
from harness.evaluation.routing import balance

COUNTS = st.lists(st.integers(0, 400), min_size=2, max_size=12).filter(any)


@given(COUNTS)
def test_figures_are_those_of_an_evaluation(counts: list[int]) -> None:
    load = np.array(counts)
    for name, figure in BALANCE.items():
        (found,) = figure(load[None, :])
        if name == "dead_experts":
            expected: float | None = float((load == 0).sum())
        elif name == "mean_over_max":
            expected = balance.balancedness(load, len(load))[name]
        else:
            expected = getattr(balance, name.removesuffix("_coefficient"))(load)
        assert found == pytest.approx(expected, abs=1e-12), name


@given(COUNTS)
def test_the_order_of_layers_and_of_experts_makes_no_difference(counts: list[int]) -> None:
    other = list(reversed(counts))
    other[0] += 7
    there, back = redrawn_differences(counts, other), redrawn_differences(other, counts)
    assert all(np.array_equal(there[name], back[name]) for name in BALANCE)


def _layer(rng: np.random.Generator, shares: NDArray[np.float64], tokens: int, top_k: int) -> NDArray[np.int64]:
    chosen = np.argsort(-(np.log(shares) + rng.gumbel(size=(tokens, len(shares)))), axis=-1)[:, :top_k]
    return np.bincount(chosen.ravel(), minlength=len(shares))


@pytest.mark.parametrize("skewed", [False, True])
def test_noise_is_seldom_called_a_difference_of_balance(skewed: bool) -> None:
    """Of even and of skewed layers, each figure: at p < 0.01, at most 1.5 % of 400 and of their means over four."""
    rng = np.random.default_rng(17)
    shares = 1 / np.arange(1, 9) if skewed else np.ones(8)
    alarms = dict.fromkeys(BALANCE, 0)
    of_means = 0
    for _ in range(100):
        pairs = [(_layer(rng, shares, 300, 2), _layer(rng, shares, 300, 2)) for _ in range(4)]
        redrawn = [redrawn_differences(*pair) for pair in pairs]
        for (a, b), noise in zip(pairs, redrawn, strict=True):
            for name, figure in BALANCE.items():
                alarms[name] += bool(by_redraws(float((figure(b) - figure(a))[()]), noise[name]).beyond)
        apart = np.mean([balance.gini(b) - balance.gini(a) for a, b in pairs])  # type: ignore[operator]
        of_means += bool(by_redraws(float(apart), mean_of_layers(redrawn)["gini_coefficient"]).beyond)
    assert max(alarms.values()) / 400 <= 1.5 * ALPHA, alarms
    assert of_means / 100 <= 2 * ALPHA


def test_layers_of_unlike_size_are_not_compared() -> None:
    with pytest.raises(ValueError, match="as many experts"):
        redrawn_differences([1, 2], [1, 2, 3])

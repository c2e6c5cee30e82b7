"""Step times of two runs: false alarms counted on noise such as runs have, and what a true difference comes to.

False alarms in 200 comparisons of like against like at 45 and at 180 steps: at most 0.5 % of independent steps, 1.5 %
where each hangs together with the one before by 0.5, with slow steps, a drift, or a collection every ten steps, and 3 %
by 0.9. A random walk as large as the noise on top of it is no more to be told from a true difference: 9 %.
"""

from collections.abc import Callable
from math import nan

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal, stats

from harness.compare.step_blocks import (
    FEWEST_STEPS,
    STEP_ALPHA,
    StepDifference,
    _rejected,
    block_length,
    compare_steps,
    correlation_time,
)

type Noise = Callable[[np.random.Generator, int], NDArray[np.float64]]

PAIRS = 200


def autocorrelated(rho: float, spread: float = 0.01) -> Noise:
    """Steps of a second, each of which hangs together with the one before by `rho`."""

    def noise(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        fresh = rng.normal(size=count + 200) * np.sqrt(1 - rho**2)
        return np.asarray(1 + spread * signal.lfilter([1], [1, -rho], fresh)[200:])

    return noise


def with_slow_steps(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    slow = np.where(rng.random(count) < 0.05, rng.uniform(1.2, 3, count), 1.0)
    return autocorrelated(0.5)(rng, count) * slow


def with_drift(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return autocorrelated(0.3)(rng, count) + np.linspace(0, 0.02, count) * rng.choice([-1, 1])


def with_walk(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return autocorrelated(0.0)(rng, count) + np.cumsum(rng.normal(size=count)) * 0.01 / np.sqrt(count)


def with_collections(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    steps = autocorrelated(0.3)(rng, count)
    steps[rng.integers(10) :: 10] *= 1.1
    return steps


def false_alarms(noise: Noise, count: int) -> float:
    rng = np.random.default_rng(15)
    return float(np.mean([bool(compare_steps(noise(rng, count), noise(rng, count)).beyond) for _ in range(PAIRS)]))


@pytest.mark.parametrize("count", [45, 180])
@pytest.mark.parametrize(
    ("noise", "at_most"),
    [
        (autocorrelated(0.0), 0.005),
        (autocorrelated(0.5), 0.015),
        (autocorrelated(0.9), 0.03),
        (with_slow_steps, 0.015),
        (with_drift, 0.015),
        (with_walk, 0.09),
        (with_collections, 0.015),
    ],
)
@pytest.mark.slow
def test_like_against_like_is_seldom_told_as_different(noise: Noise, at_most: float, count: int) -> None:
    assert false_alarms(noise, count) <= at_most


def test_a_true_difference_is_told_with_its_interval() -> None:
    rng = np.random.default_rng(3)
    first, second = (autocorrelated(0.5)(rng, 400) for _ in range(2))
    found = compare_steps(first, 1.041 * second)
    assert found.beyond and found.difference is not None and found.interval is not None
    assert found.interval[0] < 0.041 < found.interval[1]
    assert found.difference == pytest.approx(0.041, abs=0.005)
    assert found.p is not None and found.p < STEP_ALPHA


def test_the_least_difference_is_where_the_test_begins_to_tell() -> None:
    rng = np.random.default_rng(5)
    first, second = (autocorrelated(0.0)(rng, 200) for _ in range(2))
    second *= 1 / (1 + (compare_steps(first, second).difference or 0.0))
    least = compare_steps(first, second).least
    assert least is not None and 0 < least < 0.02
    assert compare_steps(first, second * (1 + 1.05 * least)).beyond
    assert not compare_steps(first, second * (1 + 0.5 * least)).beyond


def test_swapping_turns_the_difference_and_keeps_p() -> None:
    rng = np.random.default_rng(7)
    first, second = autocorrelated(0.3)(rng, 120), 1.02 * autocorrelated(0.3)(rng, 120)
    there, back = compare_steps(first, second), compare_steps(second, first)
    assert there.p == pytest.approx(back.p) and there.difference is not None and back.difference is not None
    assert (1 + there.difference) * (1 + back.difference) == pytest.approx(1)


@pytest.mark.parametrize("count", [0, 1, 3, FEWEST_STEPS - 1])
def test_too_few_steps_are_no_test(count: int) -> None:
    found = compare_steps([1.0] * count, [1.0] * 100)
    assert found == StepDifference(steps=(count, 100), block_steps=0, blocks=(0, 0), why=found.why)
    assert str(FEWEST_STEPS) in found.method


def test_what_is_no_duration_is_missing() -> None:
    steps = list(autocorrelated(0.0)(np.random.default_rng(1), 60))
    assert compare_steps([*steps, nan, 0.0, -1.0, np.inf], steps) == compare_steps(steps, steps)
    assert compare_steps(steps, steps).difference == 0


def test_steps_that_hang_together_get_longer_blocks() -> None:
    rng = np.random.default_rng(2)
    alone, together = autocorrelated(0.0)(rng, 2000), autocorrelated(0.9)(rng, 2000)
    assert correlation_time(alone) < 1.5
    assert correlation_time(together) == pytest.approx(19, rel=0.5)
    assert block_length(together, together) > 3 * 10
    assert correlation_time([1.0] * 50) == 1


def test_equal_steps_are_no_difference_and_equal_shifts_are_one() -> None:
    assert not compare_steps([1.0] * 60, [1.0] * 60).beyond
    found = compare_steps([1.0] * 60, [1.1] * 60)
    assert found.beyond and found.difference == pytest.approx(0.1)


@pytest.mark.parametrize(("n", "m", "alpha"), [(8, 8, 0.002), (8, 8, 0.05), (10, 13, 0.002), (20, 20, 0.05)])
def test_the_interval_is_the_test_turned_round(n: int, m: int, alpha: float) -> None:
    """So many pairs may go the other way as p of the test is below alpha for."""

    def p(pairs: int) -> float:
        """Of an order in which so many of n·m pairs go the other way: whole columns, and part of one."""
        columns, rest = divmod(pairs, n)
        second = [n + 1.0 + at for at in range(m - columns - (rest > 0))]
        second += [n - rest + 0.5] * (rest > 0) + [-1.0 - at for at in range(columns)]
        return float(stats.mannwhitneyu(second, np.arange(1.0, n + 1), method="exact").pvalue)

    allowed = _rejected(n, m, alpha)
    assert p(allowed - 1) < alpha <= p(allowed)

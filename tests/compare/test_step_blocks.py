"""Step times of two runs: false alarms counted on noise such as runs have, and what a true difference comes to."""

from collections.abc import Callable
from math import nan

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

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
        (with_walk, 0.05),
        (with_collections, 0.015),
    ],
)
def test_like_against_like_is_seldom_told_as_different(noise: Noise, at_most: float, count: int) -> None:
    assert false_alarms(noise, count) <= at_most

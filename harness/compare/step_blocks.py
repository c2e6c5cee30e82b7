"""Whether the steps of one run are slower than those of another, beyond the noise within the two runs.

Steps that follow one another are alike: a test that takes each for a sample of its own raises false alarms. So each
run is cut into blocks long enough to be nearly independent, and the blocks' medians, which a few slow steps do not
move, are compared by the test of Mann and Whitney. The difference is the estimate of Hodges and Lehmann, the median of
all differences between a block of the one and a block of the other, and its interval is that test turned round
(Lehmann, Nonparametrics, 1975, section 2.4), all on logarithms, so that they are shares of the first run's step time.

What differs from one launch of the same job to the next is not in the noise within a run; only repeats show it.
"""

from dataclasses import dataclass
from functools import cache
from math import ceil, comb, floor, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from harness.compare.significance import CONFIDENCE, Effect, Significance, untested

STEP_ALPHA = 0.002
"""Noise alone would make a difference that is told as one rarer than this, were the blocks independent."""

FEWEST_BLOCKS, MOST_BLOCKS = 8, 20
"""Of the shorter run. With fewer than eight no order of the blocks is rare enough, where some of them are equal."""

FEWEST_STEPS = 30
"""In fewer, how far steps hang together cannot be told."""

_TIMES_CORRELATED = 3  # the length of a block, in times over which steps hang together
_MOST_CORRELATION = 0.25  # of blocks that follow one another
_EXACT_PAIRS = 2500  # of so many pairs of blocks at most the test is exact

type _Steps = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class StepDifference:
    """The second run's step time against the first's, in shares of the first's: 0.04 is 4 % slower.

    `difference`, its `interval` (of 95 %), `p` (two-sided), `least` and `beyond` are None where there were too few
    steps for any test, and `why` says so. `beyond` is whether the difference is beyond the noise; `least` is the
    smallest one that these steps would have shown. `blocks` are those of each run, of `block_steps` steps each.
    """

    steps: tuple[int, int]
    block_steps: int
    blocks: tuple[int, int]
    difference: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    least: float | None = None
    beyond: bool | None = None
    why: str | None = None

    @property
    def method(self) -> str:
        """What was tested, in words."""
        if self.why is not None:
            return f"no test: {self.why}"
        return f"Mann-Whitney over {self.blocks[0]} and {self.blocks[1]} blocks of {self.block_steps} steps"

    def significance_of(self, value: float) -> Significance:
        """The same as of a figure whose first value, in units of its own, is this."""
        if self.why is not None or self.difference is None or self.least is None:
            return untested(self.why or "no steps")
        effect = Effect(share=self.difference, interval=self.interval, least=self.least)
        return Significance(
            method=self.method, beyond=self.beyond, p=self.p, least=self.least * abs(value), effect=effect
        )


def compare_steps(first: ArrayLike, second: ArrayLike) -> StepDifference:
    """Compare step times in seconds, each in the order of the steps; those that are not finite or not > 0 are missing.

    Give the steps that count for speed (`harness.training.summary.window`), without those of the warm-up.
    """
    a, b = _known(first), _known(second)
    steps = (len(a), len(b))
    if min(steps) < FEWEST_STEPS:
        why = f"{steps[0]:,} and {steps[1]:,} steps, and {FEWEST_STEPS} of each run are the fewest that tell"
        return StepDifference(steps=steps, block_steps=0, blocks=(0, 0), why=why)
    length = block_length(a, b)
    blocks = (len(a) // length, len(b) // length)
    if min(blocks) < FEWEST_BLOCKS:
        why = (
            f"steps hang together, so that it takes blocks of {length:,}, and {FEWEST_BLOCKS} of each run,"
            f" {length * FEWEST_BLOCKS:,} steps after the warm-up, are the fewest that tell"
        )
        return StepDifference(steps=steps, block_steps=length, blocks=blocks, why=why)
    return _tested(_medians(a, length), _medians(b, length), steps, length)


def block_length(first: ArrayLike, second: ArrayLike) -> int:
    """The steps in a block, of both runs alike: at least three times as far as the steps of either hang together.

    Twice as many, and twice again, where blocks that follow one another are still alike: a slow drift under the noise.
    """
    a, b = _known(first), _known(second)
    shorter = min(len(a), len(b))
    reach = max(correlation_time(a), correlation_time(b)) - 1
    length = max(ceil(shorter / MOST_BLOCKS), ceil(1 + _TIMES_CORRELATED * reach))
    while shorter // length >= FEWEST_BLOCKS and _neighbours(a, b, length) > _MOST_CORRELATION:
        length *= 2
    return length


def _neighbours(a: _Steps, b: _Steps, length: int) -> float:
    """The correlation of blocks that follow one another, the mean of both runs, made up for their number."""
    medians = [_medians(values, length) for values in (a, b)]
    return float(np.mean([_correlations(of - of.mean())[1] + 1 / len(of) for of in medians if np.ptp(of) > 0] or [0.0]))


def correlation_time(samples: ArrayLike) -> float:
    """Over how many steps one hangs together with others: 1 + 2 Σ r(k), 1 of independent ones.

    r(k) is the correlation of the ranks of steps `k` apart, which a few slow steps do not move; each of its estimates
    of n steps is too low by about the mean of all, which is added. The sum goes to the first k of five times itself
    (Sokal, Monte Carlo Methods in Statistical Mechanics, 1997, section 3).
    """
    values = _known(samples)
    if len(values) < 4 or values.min() == values.max():
        return 1.0
    ranks = stats.rankdata(values)
    centred = ranks - ranks.mean()
    raw = _summed(_correlations(centred), len(values), bias=0.0)
    return _summed(_correlations(centred), len(values), bias=raw)


def _correlations(centred: _Steps) -> _Steps:
    """Of values with the mean 0, at each distance from 0 to half their number."""
    count = len(centred)
    spectrum = np.fft.rfft(centred, 2 * count)
    products = np.fft.irfft(spectrum * spectrum.conj(), 2 * count)[: count // 2]
    return np.asarray(products / products[0] * count / (count - np.arange(len(products))), np.float64)


def _summed(correlations: _Steps, count: int, *, bias: float) -> float:
    total = 1.0
    for distance in range(1, len(correlations)):
        total += 2 * (float(correlations[distance]) + bias / count)
        if distance >= 5 * total:
            break
    return max(total, 1.0)


def _tested(a: _Steps, b: _Steps, steps: tuple[int, int], length: int) -> StepDifference:
    """By the blocks' medians `a` and `b`, logarithms of seconds."""
    pairs = np.sort(np.subtract.outer(b, a), axis=None)
    shift = float(np.median(pairs))
    tied = len(np.unique(np.concatenate((a, b)))) < len(a) + len(b)
    exact = not tied and a.size * b.size <= _EXACT_PAIRS
    p = float(stats.mannwhitneyu(b, a, method="exact" if exact else "asymptotic").pvalue)
    low, high = _interval(pairs, len(a), len(b), 1 - CONFIDENCE)
    surest = _interval(pairs, len(a), len(b), STEP_ALPHA)
    return StepDifference(
        steps=steps,
        block_steps=length,
        blocks=(len(a), len(b)),
        difference=float(np.expm1(shift)),
        interval=(float(np.expm1(low)), float(np.expm1(high))),
        p=p,
        least=float(np.expm1(max(surest[1] - shift, shift - surest[0]))),
        beyond=p < STEP_ALPHA,
    )


def _interval(pairs: _Steps, n: int, m: int, alpha: float) -> tuple[float, float]:
    """Between the differences of pairs, ascending, beyond which the test would reject a shift."""
    rejected = _rejected(n, m, alpha)
    return float(pairs[rejected]), float(pairs[-1 - rejected])


@cache
def _rejected(n: int, m: int, alpha: float) -> int:
    """How many pairs may go the other way, plus one, for Mann and Whitney's two-sided p to be below alpha."""
    if n * m > _EXACT_PAIRS:
        most = n * m / 2 - float(stats.norm.isf(alpha / 2)) * sqrt(n * m * (n + m + 1) / 12)
        return max(floor(most), 0)
    below = np.cumsum(_orders(n, m))
    return int(np.count_nonzero(2 * below / comb(n + m, m) < alpha))


def _orders(n: int, m: int) -> _Steps:
    """In how many orders of n and m values so many pairs, from 0 to half of them, go the other way."""
    counts = np.zeros(n * m // 2 + 1)
    counts[0] = 1
    for i in range(1, m + 1):  # the Gaussian binomial coefficient, one factor (1 - x^(n+i)) / (1 - x^i) after another
        if n + i < len(counts):
            counts[n + i :] -= counts[: -n - i].copy()
        for start in range(min(i, len(counts))):
            counts[start::i] = np.cumsum(counts[start::i])
    return counts


def _known(samples: ArrayLike) -> _Steps:
    values = np.asarray(samples, np.float64).ravel()
    return values[np.isfinite(values) & (values > 0)]


def _medians(values: _Steps, length: int) -> _Steps:
    """Of blocks of so many values; those that are left over are the first ones, nearest to the warm-up."""
    count = len(values) // length
    return np.asarray(np.log(np.median(values[len(values) - count * length :].reshape(count, length), axis=1)))

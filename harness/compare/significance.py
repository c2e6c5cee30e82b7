"""Whether a difference is beyond the noise.

Each answer is a test of its own: p < `ALPHA` keeps one false alarm in a hundred tests, so that of a table of a hundred
lines one is expected by chance alone. Differences are the second's value less the first's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import expm1, isfinite, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

ALPHA = 0.01
"""A difference is told as one where noise alone would make it rarer than this."""

CONFIDENCE = 0.95
"""Of the interval of a difference or a mean."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A difference as a share of the first value, its interval of 95 %, and the least that would have shown.

    0.04 is 4 % more than the first. None of the interval and of `least` is not known.
    """

    share: float
    interval: tuple[float, float] | None = None
    least: float | None = None


@dataclass(frozen=True, kw_only=True)
class Significance:
    """What can be said of one difference.

    `p` is the chance of a difference as large from noise alone, two-sided; None where there was no test. `beyond` is
    whether the difference is beyond the noise, None where nothing can be said; without a `tested` it is no more than a
    hint. `least` is the smallest difference that these samples would have shown, in the units of the values, and
    `effect` the estimate of the difference that the test makes; None where they are not known.
    """

    method: str
    beyond: bool | None
    p: float | None = None
    least: float | None = None
    tested: bool = True
    effect: Effect | None = None


def untested(why: str) -> Significance:
    """Nothing can be said."""
    return Significance(method=f"no test: {why}", beyond=None, tested=False)


def paired_ratios(first: ArrayLike, second: ArrayLike, weights: ArrayLike, *, unit: str) -> Significance:
    """Two weighted means Σ sums / Σ weights of the same `n` samples, such as losses of the same windows of tokens.

    `first` and `second` are the sums of each sample and `weights` what each counts for, all [n]. The difference is
    R = Σ(b − a) / Σw; its variance is that of a ratio estimator, n/(n − 1) · Σ(b − a − R·w)² / (Σw)² (Cochran,
    Sampling Techniques, 1977, section 6), and R over its root is Student's t with n − 1 degrees of freedom. Samples
    are taken as independent; windows of one document are nearly so.
    """
    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    weight = np.asarray(weights, np.float64)
    count = len(differences)
    if count < 2:
        return untested(f"fewer than two {unit}")
    ratio = differences.sum() / weight.sum()
    error = sqrt(count / (count - 1) * float(np.square(differences - ratio * weight).sum())) / float(weight.sum())
    return _student(float(ratio), error, count - 1, f"paired t over {count:,} {unit}")


def paired_means(first: ArrayLike, second: ArrayLike, *, unit: str) -> Significance:
    """Two means of scores [n] of the same samples: the exact test of McNemar for scores of 0 and 1, else paired t."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if _is_binary(a) and _is_binary(b):
        return _mcnemar(int(((b - a) > 0).sum()), int(((b - a) < 0).sum()), len(a), unit)
    return paired_ratios(a, b, np.ones_like(a), unit=unit)


def from_errors(difference: float, first_error: float, second_error: float) -> Significance:
    """Two values of which only the standard errors are known: z, as of independent samples.

    Of the same samples the errors have much in common, so that this misses differences that a paired test shows.
    """
    error = sqrt(first_error**2 + second_error**2)
    if not isfinite(error) or error == 0:
        return untested("no standard errors")
    p = float(2 * stats.norm.sf(abs(difference) / error))
    least = float(stats.norm.isf(ALPHA / 2)) * error
    return Significance(method="z from the two standard errors, unpaired", beyond=p < ALPHA, p=p, least=least)


def by_repeats(first: ArrayLike, second: ArrayLike) -> Significance:
    """Means of repeats, which are independent: Student's t of the logarithms of values > 0, both of one variance.

    One of the two may be a single run, whose variance is then taken to be that of the other's repeats.
    """
    a, b = (np.log(np.asarray(values, np.float64)) for values in (first, second))
    freedom = len(a) + len(b) - 2
    if freedom < 1:
        return untested("one run of each; REPEATS=n on launch and sweep runs n")
    share = float(b.mean() - a.mean())
    variance = (float(np.square(a - a.mean()).sum()) + float(np.square(b - b.mean()).sum())) / freedom
    error = sqrt(variance * (1 / len(a) + 1 / len(b)))
    found = _student(share, error, freedom, f"t over {len(a)} and {len(b)} repeats")
    if found.least is None:
        return found
    half = float(stats.t.isf((1 - CONFIDENCE) / 2, freedom)) * error
    effect = Effect(
        share=expm1(share),
        interval=(expm1(share - half), expm1(share + half)),
        least=expm1(found.least),
    )
    return replace(found, effect=effect, least=expm1(found.least) * float(np.exp(a.mean())))


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The interval of 95 % of the geometric mean of repeats, by Student's t of logarithms; None of fewer than 2."""
    if len(values) < 2:
        return None
    logs = np.log(values)
    half = float(stats.t.isf((1 - CONFIDENCE) / 2, len(logs) - 1) * stats.sem(logs))
    return float(np.exp(logs.mean() - half)), float(np.exp(logs.mean() + half))


def by_spread(first: tuple[float, float], second: tuple[float, float], what: str) -> Significance:
    """Whether two ranges, each (low, high) of repeats, lie apart: no test.

    Repeats of one session hang together, and the next session of the same job may lie apart from them as well.
    """
    apart = max(first[0], second[0]) > min(first[1], second[1])
    return Significance(method=f"no test: {what} {'lie apart' if apart else 'overlap'}", beyond=apart, tested=False)


def _is_binary(scores: NDArray[np.float64]) -> bool:
    return bool(np.isin(scores, (0.0, 1.0)).all())


def _student(difference: float, error: float, freedom: int, method: str) -> Significance:
    if error <= 8 * np.finfo(np.float64).eps * abs(difference):
        same = difference == 0
        return Significance(method=method, beyond=False, p=1.0) if same else untested("all samples differ by the same")
    p = float(2 * stats.t.sf(abs(difference) / error, freedom))
    least = float(stats.t.isf(ALPHA / 2, freedom)) * error
    return Significance(method=method, beyond=p < ALPHA, p=p, least=least)


def _mcnemar(gained: int, lost: int, count: int, unit: str) -> Significance:
    """The sign test on the samples that changed (McNemar, 1947), exact, so that it holds for few of them too."""
    method = f"McNemar exact over {count:,} {unit}, {gained + lost:,} changed"
    if count == 0:
        return untested(f"no {unit}")
    p = _sign_p(gained, lost)
    return Significance(method=method, beyond=p < ALPHA, p=p, least=_least_change(gained + lost, count))


def _sign_p(gained: int, lost: int) -> float:
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def _least_change(changed: int, count: int) -> float | None:
    """The smallest share of `count` by which so many changes, or as many as it takes, are beyond the noise."""
    for total in range(changed, count + 1):
        fewest = int(stats.binom.ppf(ALPHA / 2, total, 0.5))  # at most so many may go the other way, or one less
        for fewer in (fewest, fewest - 1):
            if fewer >= 0 and _sign_p(total - fewer, fewer) < ALPHA:
                return (total - 2 * fewer) / count
    return None

"""What uniform random routing would give for as many tokens: the floor beside which a measured value is read.

Each token gets k different experts of E, all sets as likely as each other, and nothing is dropped. An expert's count
then is binomial, and the counts' sum is fixed; uniform choice within groups gives each count the same variance, but
loads of ranks a larger one. Variances are exact; what follows from the largest count takes counts as normal, which
they nearly are from about ten tokens an expert on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np

NOISE_RULE = (
    "(noise): uniform random routing of as many tokens, k different experts each;"
    " its CV is sqrt((E-k)/(T*k)), its Gini CV*sqrt((E-1)/(pi*E))"
)
TOO_FEW_RULE = "too few tokens: the CV is within two spreads of that of the noise, which is CV/sqrt(2(E-1)) wide"
"""When a layer's balance is not told from chance."""


@dataclass(frozen=True)
class UniformNoise:
    """Uniform random routing of `tokens` tokens to `top_k` of `experts` experts; `tokens` is above 0."""

    experts: int
    top_k: int
    tokens: float

    @property
    def cv(self) -> float:
        """√((E−k)/(T·k)): each count has the variance T·(k/E)(1−k/E) around the mean T·k/E."""
        return math.sqrt(max(0, self.experts - self.top_k) / (self.tokens * self.top_k))

    @property
    def cv_spread(self) -> float:
        """The standard deviation of that CV: its square is spread as χ² of E−1 degrees of freedom."""
        return self.cv / math.sqrt(2 * (self.experts - 1)) if self.experts > 1 else 0.0

    @property
    def gini(self) -> float:
        """CV·√((E−1)/(π·E)), about CV/√π: the mean difference of two normal counts is 2σ/√π."""
        return self.cv * math.sqrt((self.experts - 1) / (math.pi * self.experts))

    @property
    def expert_utilization_rate(self) -> float:
        """1 − (1−k/E)^T: a token passes an expert by with the chance 1−k/E."""
        return float(1 - (1 - self.top_k / self.experts) ** self.tokens)

    @property
    def entropy(self) -> float | None:
        """1 − CV²/(2 ln E), to the first order in CV²; None for one expert."""
        return 1 - self.cv**2 / (2 * math.log(self.experts)) if self.experts > 1 else None

    @property
    def max_vio(self) -> float:
        """The expected largest of E normal counts of a fixed sum, over their mean, less 1."""
        return _largest_of(self.experts, self.cv)

    def balancedness(self, ep: int) -> float:
        """Mean over the expected maximum of the loads of `ep` ranks: a token's share of a rank is hypergeometric."""
        if ep == 1 or self.experts == 1:
            return 1.0
        share = 1 / ep
        variance = (1 - share) * (self.experts - self.top_k) / ((self.experts - 1) * self.top_k * share)
        return 1 / (1 + _largest_of(ep, math.sqrt(variance / self.tokens)))

    def is_told_from(self, cv: float) -> bool:
        """Whether a measured CV is more than two spreads from that of the noise; where k = E nothing is chance."""
        return self.cv == 0 or abs(cv - self.cv) > 2 * self.cv_spread


def mean_max_vio(experts: int, top_k: int, batch_tokens: Sequence[float]) -> float:
    """The mean of MaxVio's floor over micro-batches of these tokens, all above 0."""
    return math.fsum(UniformNoise(experts, top_k, tokens).max_vio for tokens in batch_tokens) / len(batch_tokens)


def _largest_of(counts: int, cv: float) -> float:
    """How far above its mean the largest of `counts` counts of a fixed sum is expected, in means."""
    return cv * math.sqrt(counts / (counts - 1)) * _largest_normal(counts) if counts > 1 else 0.0


@cache
def _largest_normal(count: int) -> float:
    """The expected largest of `count` standard normal values: ∫ (1 − Φ^n) above 0, less ∫ Φ^n below it."""
    above = np.linspace(0, 9, 1801)
    normal = NormalDist()
    cdf = np.array([normal.cdf(x) for x in above])
    return float(np.trapezoid(1 - cdf**count - (1 - cdf) ** count, above))

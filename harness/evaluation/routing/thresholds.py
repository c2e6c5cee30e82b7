"""The thresholds by which users rate a router's balance: a convention, not a measure of a model's quality."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

type Rating = Literal["excellent", "good", "fair", "poor"]


class Scale(NamedTuple):
    """From the best on, each rating's bound; what lies beyond the last is poor.

    A value at the first bound is not excellent any more; one at a later bound still has its rating.
    """

    bounds: tuple[tuple[float, Rating], ...]
    lower_is_better: bool = True

    def rate(self, value: float) -> Rating:
        """The rating of a value."""
        sign = 1 if self.lower_is_better else -1
        for place, (bound, rating) in enumerate(self.bounds):
            if sign * value < sign * bound or (place and value == bound):
                return rating
        return "poor"

    @property
    def text(self) -> str:
        """`< 0.1 excellent, to 0.2 good, to 0.3 fair, > 0.3 poor`."""
        better, worse = ("<", ">") if self.lower_is_better else (">", "<")
        (best, first), *others = self.bounds
        between = [f"to {bound:g} {rating}" for bound, rating in others]
        return ", ".join([f"{better} {best:g} {first}", *between, f"{worse} {self.bounds[-1][0]:g} poor"])


THRESHOLDS: Mapping[str, Scale] = {
    "gini_coefficient": Scale(((0.1, "excellent"), (0.2, "good"), (0.3, "fair"))),
    "coefficient_of_variation": Scale(((0.2, "excellent"), (0.4, "good"), (0.5, "fair"))),
    "expert_utilization_rate": Scale(((0.95, "excellent"), (0.8, "good")), lower_is_better=False),
}
"""By the name of the metric in a layer's figures."""


def rating(metric: str, value: float) -> Rating:
    """What users call such a value of a metric of THRESHOLDS."""
    return THRESHOLDS[metric].rate(value)

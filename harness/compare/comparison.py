"""Results side by side: every metric, which is better, and whether beyond the noise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.compare.configuration_differences import ConfigurationDifference
from harness.compare.metrics import Direction, Metric
from harness.compare.significance import Significance


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One result against the baseline: its value less the baseline's, and what that is worth."""

    difference: float
    significance: Significance


@dataclass(frozen=True, kw_only=True)
class ComparedMetric:
    """A metric of all results, the baseline first; None where one lacks it.

    `contrasts` are those of the results after the first. `better` is the place of the result with the best value,
    None where no direction is better, or several are alike.
    """

    part: str
    name: str
    direction: Direction
    values: tuple[float | None, ...]
    contrasts: tuple[Contrast | None, ...]
    better: int | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Results by their `names`, the baseline first.

    `configuration` are the settings in which they differ, `unlike` the differences for which they would be refused and
    that were forced, `notices` what else to know, `left_out` which parts only some of them have.
    """

    names: tuple[str, ...]
    metrics: tuple[ComparedMetric, ...]
    left_out: tuple[str, ...] = ()
    configuration: tuple[ConfigurationDifference, ...] = ()
    unlike: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def metric(self, name: str) -> ComparedMetric | None:
        """The metric of a name, None where no result has it."""
        return next((metric for metric in self.metrics if metric.name == name), None)


class Pair(Protocol):
    """Two results, the baseline first, with what tells their differences from noise."""

    def weigh(self, a: Metric, b: Metric) -> Significance:
        """Whether the metric `b` of the second differs from `a`, the same of the first, beyond the noise."""


def compared(found: Sequence[Mapping[str, Metric]], pairs: Sequence[Pair]) -> Iterator[ComparedMetric]:
    """Set the metrics of results, each by name, side by side; `pairs` are of the first with each of the others."""
    for name in dict.fromkeys(name for metrics in found for name in metrics):
        metrics = [of_one.get(name) for of_one in found]
        first = next(metric for metric in metrics if metric)
        yield ComparedMetric(
            part=first.part,
            name=name,
            direction=first.direction,
            values=tuple(metric.value if metric else None for metric in metrics),
            contrasts=tuple(
                _contrast(pair, metrics[0], metric) for pair, metric in zip(pairs, metrics[1:], strict=True)
            ),
            better=_better(metrics, first.direction),
        )


def _contrast(pair: Pair, a: Metric | None, b: Metric | None) -> Contrast | None:
    if a is None or b is None:
        return None
    return Contrast(difference=b.value - a.value, significance=pair.weigh(a, b))


def _better(metrics: Sequence[Metric | None], direction: Direction) -> int | None:
    values = [(metric.value, at) for at, metric in enumerate(metrics) if metric]
    if direction == "neither" or len(values) < 2:
        return None
    best = (max if direction == "higher" else min)(value for value, _ in values)
    places = [at for value, at in values if value == best]
    return places[0] if len(places) == 1 else None

"""Axes of plots: values, pixels, and round ticks."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Values from `low` to `high` at pixels from `start` to `end`, with about so many ticks."""

    low: float
    high: float
    start: float
    end: float
    about: int = 8

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values within."""
        step = _step(self.high - self.low, self.about)
        first, last = ceil(self.low / step), floor(self.high / step)
        return [index * step for index in range(first, last + 1)]


def spanning_axis(values: Sequence[float], pixels: tuple[float, float], *, about: int = 8) -> Axis:
    """From a little below the least to a little above the most, but not below zero for values that are not."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    start = low - room if low < 0 else max(0.0, low - room)
    return Axis(low=start, high=high + room, start=pixels[0], end=pixels[1], about=about)


def _step(span: float, about: int) -> float:
    """A round distance of ticks: `about` of them, or somewhat fewer."""
    rough = span / about
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)

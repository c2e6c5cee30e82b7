"""What plots share: the frame, its axes with their ticks, and titles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import ClassVar

_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 30, 20, 50


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Values from `low` to `high` at pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values within."""
        step = _step(self.high - self.low)
        first, last = ceil(self.low / step), floor(self.high / step)
        return [index * step for index in range(first, last + 1)]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A picture of so many pixels, with room for ticks and titles around what is drawn."""

    STYLE: ClassVar = """\
svg { width: 100%; height: auto; }
svg text { fill: var(--faint); font-size: 12px; }
.axis { stroke: var(--line); }"""

    width: int
    height: int

    @property
    def across(self) -> tuple[float, float]:
        """Pixels from the left to the right end of x."""
        return _LEFT, self.width - _RIGHT

    @property
    def up(self) -> tuple[float, float]:
        """Pixels from the lower to the upper end of y."""
        return self.height - _BOTTOM, _TOP

    def drawn(self, marks: Sequence[str], x: Axis, y: Axis, *, x_title: str, y_title: str) -> str:
        """The whole picture; `marks` stand on the grid."""
        middle_x, middle_y = sum(self.across) / 2, self.height / 2
        lines = [
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img"'
            f' aria-label="{escape(y_title)} against {escape(x_title)}">',
            *self._grid(x, y),
            f'<text x="{middle_x:.0f}" y="{self.height - 10}" text-anchor="middle">{escape(x_title)}</text>',
            f'<text x="14" y="{middle_y:.0f}" text-anchor="middle" transform="rotate(-90 14 {middle_y:.0f})">'
            f"{escape(y_title)}</text>",
            *marks,
            "</svg>",
        ]
        return "\n".join(lines)

    def _grid(self, x: Axis, y: Axis) -> Iterator[str]:
        (left, right), (bottom, top) = self.across, self.up
        for value in x.ticks():
            at = x.at(value)
            yield f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{bottom}"/>'
            yield f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{value:,g}</text>'
        for value in y.ticks():
            at = y.at(value)
            yield f'<line class="axis" x1="{left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>'
            yield f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{value:,g}</text>'


def spanning_axis(values: Sequence[float], pixels: tuple[float, float]) -> Axis:
    """From a little below the least to a little above the most, but not below zero for values that are not."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return Axis(low=low - room if low < 0 else max(0.0, low - room), high=high + room, start=pixels[0], end=pixels[1])


def _step(span: float) -> float:
    """A round distance of ticks: some five to ten of them."""
    rough = span / 8
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)

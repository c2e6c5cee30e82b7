"""A scatter plot as inline SVG: dots, the front of the best among them, and a limit of x."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from harness.report.html.page import PagePart

WIDTH, HEIGHT = 960, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 20, 50

_STYLE = """\
svg { width: 100%; height: auto; }
svg text { fill: var(--faint); font-size: 12px; }
.axis { stroke: var(--line); }
.dot { fill: var(--dot); fill-opacity: .55; }
.best { fill: var(--best); }
text.number { fill: var(--ground); font-size: 10px; font-weight: 600; }
.front { fill: none; stroke: var(--best); stroke-width: 1.5; }
.limit { stroke: var(--limit); stroke-dasharray: 5 4; }"""


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A point with what to say of it; a `label` stands in it."""

    x: float
    y: float
    text: str
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """Values from `low` to `high` at pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        step = _step(self.high - self.low)
        first, last = ceil(self.low / step), floor(self.high / step)
        return [index * step for index in range(first, last + 1)]


def front(dots: Sequence[Dot]) -> list[Dot]:
    """Those that no other beats with less x and more y, from the left to the right."""
    best: list[Dot] = []
    for dot in sorted(dots, key=lambda dot: (dot.x, -dot.y)):
        if not best or dot.y > best[-1].y:
            best.append(dot)
    return best


def render_scatter(dots: Sequence[Dot], *, limit: float, x_title: str, y_title: str) -> PagePart:
    """The plot; `limit` is a line across x that no dot is beyond. ValueError without dots."""
    if not dots:
        raise ValueError("a plot wants dots")
    x = _axis([*(dot.x for dot in dots), limit], LEFT, WIDTH - RIGHT)
    y = _axis([dot.y for dot in dots], HEIGHT - BOTTOM, TOP)
    edge = x.at(limit)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_title)} against {escape(x_title)}">',
        *_grid(x, y),
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_title)}</text>',
        f'<text x="14" y="{HEIGHT / 2:.0f}" text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2:.0f})">'
        f"{escape(y_title)}</text>",
        f'<line class="limit" x1="{edge:.1f}" x2="{edge:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
        f'<polyline class="front" points="{" ".join(_steps(front(dots), x, y))}"/>',
        *(_dot(dot, x, y) for dot in sorted(dots, key=lambda dot: bool(dot.label))),
        "</svg>",
    ]
    return PagePart("\n".join(parts), _STYLE)


def _grid(x: _Axis, y: _Axis) -> Iterator[str]:
    for value in x.ticks():
        at = x.at(value)
        yield f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value:,g}</text>'
    for value in y.ticks():
        at = y.at(value)
        yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{value:,g}</text>'


def _steps(best: Sequence[Dot], x: _Axis, y: _Axis) -> Iterator[str]:
    """The front as stairs: more memory gives nothing until the next dot."""
    for before, dot in zip([None, *best], best, strict=False):
        if before is not None:
            yield f"{x.at(dot.x):.1f},{y.at(before.y):.1f}"
        yield f"{x.at(dot.x):.1f},{y.at(dot.y):.1f}"


def _dot(dot: Dot, x: _Axis, y: _Axis) -> str:
    at, up = x.at(dot.x), y.at(dot.y)
    kind, radius = ("best", 8) if dot.label else ("dot", 3)
    circle = (
        f'<circle class="{kind}" cx="{at:.1f}" cy="{up:.1f}" r="{radius}"><title>{escape(dot.text)}</title></circle>'
    )
    if not dot.label:
        return circle
    return (
        f'{circle}<text class="number" x="{at:.1f}" y="{up + 3.5:.1f}" text-anchor="middle">{escape(dot.label)}</text>'
    )


def _axis(values: Sequence[float], start: float, end: float) -> _Axis:
    """From a little below the least to a little above the most."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.1 * high or 1.0
    return _Axis(low=max(0.0, low - room), high=high + room, start=start, end=end)


def _step(span: float) -> float:
    """A round distance of ticks: some five to ten of them."""
    rough = span / 8
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)

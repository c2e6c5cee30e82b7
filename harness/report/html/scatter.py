"""A scatter plot as inline SVG: dots, the front of the best among them, and a limit of x."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from harness.report.html.axes import Axis, Plot, spanning_axis
from harness.report.html.page import PagePart

_PLOT = Plot(width=960, height=440)
_STYLE = """\
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
    x = spanning_axis([*(dot.x for dot in dots), limit], _PLOT.across)
    y = spanning_axis([dot.y for dot in dots], _PLOT.up)
    edge, (bottom, top) = x.at(limit), _PLOT.up
    marks = [
        f'<line class="limit" x1="{edge:.1f}" x2="{edge:.1f}" y1="{top}" y2="{bottom}"/>',
        f'<polyline class="front" points="{" ".join(_steps(front(dots), x, y))}"/>',
        *(_dot(dot, x, y) for dot in sorted(dots, key=lambda dot: bool(dot.label))),
    ]
    markup = _PLOT.drawn(marks, x, y, x_title=x_title, y_title=y_title)
    return PagePart(markup, f"{Plot.STYLE}\n{_STYLE}")


def _steps(best: Sequence[Dot], x: Axis, y: Axis) -> Iterator[str]:
    """The front as stairs: more memory gives nothing until the next dot."""
    for before, dot in zip([None, *best], best, strict=False):
        if before is not None:
            yield f"{x.at(dot.x):.1f},{y.at(before.y):.1f}"
        yield f"{x.at(dot.x):.1f},{y.at(dot.y):.1f}"


def _dot(dot: Dot, x: Axis, y: Axis) -> str:
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

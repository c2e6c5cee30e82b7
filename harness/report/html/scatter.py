"""A scatter plot as its template draws it: dots, a front, numbers that do not hide one another, a limit of x."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, hypot, pi, sin

from harness.report.html.axes import Axis, spanning_axis

_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 14, 44
RADIUS = 9
"""Of the disc that a number stands in."""
_REACH = range(0, 160, 6)
_ANGLES = [pi * turn / 8 for turn in range(16)]


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A point with what to say of it."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, kw_only=True)
class PlacedNumber:
    """A number in its disc at x and y, joined to its dot where it had to stand apart from it."""

    number: int
    x: float
    y: float
    dot_x: float
    dot_y: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A tick of an axis: its pixel and its text."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class ScatterPlot:
    """A picture in pixels. `dots` and `front` are paths; `frame` is what turns data into pixels for the script."""

    kind: str
    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    dots: str
    front: str
    front_dots: str
    limit: float
    band: tuple[float, float]
    numbers: Sequence[PlacedNumber]
    frame: str


def scatter_plot(
    kind: str,
    size: tuple[int, int],
    dots: Sequence[Dot],
    *,
    best: Sequence[Dot],
    joined: Sequence[Dot],
    limit: float,
    error: float,
) -> ScatterPlot:
    """The plot; `best` are numbered, `joined` is the front, `limit` a line across x and `error` its relative error.

    ValueError without dots.
    """
    if not dots:
        raise ValueError("a plot wants dots")
    width, height = size
    across, up = (_LEFT, width - _RIGHT), (height - _BOTTOM, _TOP)
    x = spanning_axis([*(dot.x for dot in dots), limit], across, about=max(width // 85, 4))
    y = spanning_axis([dot.y for dot in dots], up, about=max(height // 50, 3))
    scale_x, scale_y = x.at(1) - x.at(0), y.at(1) - y.at(0)
    return ScatterPlot(
        kind=kind,
        width=width,
        height=height,
        left=across[0],
        right=across[1],
        top=up[1],
        bottom=up[0],
        x_ticks=[Tick(at=x.at(value), text=f"{value:,g}") for value in x.ticks()],
        y_ticks=[Tick(at=y.at(value), text=f"{value:,g}") for value in y.ticks()],
        dots=_path(dots, x, y),
        front="M" + "L".join(_steps(joined, x, y)) if joined else "",
        front_dots=_path(joined, x, y),
        limit=x.at(limit),
        band=(x.at(limit * (1 - error)), min(x.at(limit * (1 + error)), across[1])),
        numbers=list(_numbers(best, x, y)),
        frame=f'{{"x":[{x.at(0):.4f},{scale_x:.6f}],"y":[{y.at(0):.4f},{scale_y:.8f}]}}',
    )


def _path(dots: Sequence[Dot], x: Axis, y: Axis) -> str:
    """Strokes without length, which round ends make discs: a thousand of them are small."""
    return "".join(f"M{x.at(dot.x):.1f} {y.at(dot.y):.1f}h0" for dot in dots)


def _steps(best: Sequence[Dot], x: Axis, y: Axis) -> Iterator[str]:
    """The front as stairs: more memory gives nothing until the next dot."""
    for before, dot in zip([None, *best], best, strict=False):
        if before is not None:
            yield f"{x.at(dot.x):.1f} {y.at(before.y):.1f}"
        yield f"{x.at(dot.x):.1f} {y.at(dot.y):.1f}"


def _numbers(best: Sequence[Dot], x: Axis, y: Axis) -> Iterator[PlacedNumber]:
    """Each at its dot, or at the nearest place where it hides no other number and stays within the plot."""
    taken: list[tuple[float, float]] = []
    for number, dot in enumerate(best, start=1):
        at, up = x.at(dot.x), y.at(dot.y)
        places = ((at + reach * cos(turn), up + reach * sin(turn)) for reach in _REACH for turn in _ANGLES)
        free = (place for place in places if _is_free(place, taken, x, y))
        place = next(free, (at, up))
        taken.append(place)
        yield PlacedNumber(number=number, x=place[0], y=place[1], dot_x=at, dot_y=up, text=dot.text)


def _is_free(place: tuple[float, float], taken: Sequence[tuple[float, float]], x: Axis, y: Axis) -> bool:
    within = x.start + RADIUS <= place[0] <= x.end - RADIUS and y.end + RADIUS <= place[1] <= y.start - RADIUS
    return within and all(hypot(place[0] - other[0], place[1] - other[1]) > 2 * RADIUS for other in taken)

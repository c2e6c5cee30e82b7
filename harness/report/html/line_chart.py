"""Lines over a common x as inline SVG; where a value is missing its line is broken."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from harness.report.html.axes import Axis, Plot, spanning_axis
from harness.report.html.page import PagePart
from harness.report.text.figure import show_figure

_PLOT = Plot(width=640, height=320)
_STYLE = """\
.line { fill: none; stroke-width: 2; }
.point { stroke: none; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; list-style: none; font-size: 13px; }
.legend span { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .35rem; }
@media print { .legend span { print-color-adjust: exact; } }"""


@dataclass(frozen=True, kw_only=True)
class ChartLine:
    """A line by its name: a value at each x, None where it is missing."""

    name: str
    values: Sequence[float | None]


def render_lines(lines: Sequence[ChartLine], places: Sequence[float], *, x_title: str, y_title: str) -> PagePart:
    """The chart, with a legend for more than one line. ValueError without any value."""
    known = [value for line in lines for value in line.values if value is not None]
    if not known:
        raise ValueError("a chart wants values")
    x, y = spanning_axis(places, _PLOT.across), spanning_axis(known, _PLOT.up)
    marks = [mark for at, line in enumerate(lines) for mark in _marks(line, places, x, y, _colour(at, len(lines)))]
    picture = _PLOT.drawn(marks, x, y, x_title=x_title, y_title=y_title)
    legend = _legend([line.name for line in lines]) if len(lines) > 1 else ""
    return PagePart(f"<figure>{picture}{legend}</figure>", f"{Plot.STYLE}\n{_STYLE}")


def _marks(line: ChartLine, places: Sequence[float], x: Axis, y: Axis, colour: str) -> Iterator[str]:
    """A polyline for each stretch of known values, and a point that says what it is for each value."""
    for stretch in _stretches(line.values):
        points = " ".join(f"{x.at(places[at]):.1f},{y.at(value):.1f}" for at, value in stretch)
        yield f'<polyline class="line" points="{points}" style="stroke: {colour}"/>'
        for at, value in stretch:
            said = escape(f"{line.name} at {places[at]:,g}: {show_figure(value)}")
            yield (
                f'<circle class="point" cx="{x.at(places[at]):.1f}" cy="{y.at(value):.1f}" r="3"'
                f' style="fill: {colour}"><title>{said}</title></circle>'
            )


def _stretches(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Runs of known values, each with its place."""
    runs: list[list[tuple[int, float]]] = [[]]
    for at, value in enumerate(values):
        if value is not None:
            runs[-1].append((at, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _colour(at: int, count: int) -> str:
    """One line has the theme's colour; of several each has a hue of middling lightness, which both themes show."""
    return "var(--best)" if count == 1 else f"hsl({360 * at / max(count, 2):.0f} 60% {(45, 58)[at % 2]}%)"


def _legend(names: Sequence[str]) -> str:
    items = (
        f'<li><span style="background: {_colour(at, len(names))}"></span>{escape(name)}</li>'
        for at, name in enumerate(names)
    )
    return f'<ul class="legend">{"".join(items)}</ul>'

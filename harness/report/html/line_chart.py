"""Lines over a common x as inline SVG; where a value is missing its line is broken."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from harness.report.html.axes import Axis, Plot, spanning_axis
from harness.report.html.page import PagePart
from harness.report.text.figure import show_figure

_PLOT = Plot(width=640, height=320)
_MOST_POINTED = 12
"""With more lines than that their points are not drawn one by one: a page of many layers stays small."""
_STYLE = """\
.line { fill: none; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
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
    marks: list[str] = []
    for at, line in enumerate(lines):
        colour = _colour(at, len(lines))
        marks += _strokes(line, places, x, y, colour)
        marks += _points(line, places, x, y, colour) if len(lines) <= _MOST_POINTED else ()
    picture = _PLOT.drawn(marks, x, y, x_title=x_title, y_title=y_title)
    legend = _legend([line.name for line in lines]) if len(lines) > 1 else ""
    return PagePart(f"<figure>{picture}{legend}</figure>", f"{Plot.STYLE}\n{_STYLE}")


def _strokes(line: ChartLine, places: Sequence[float], x: Axis, y: Axis, colour: str) -> Iterator[str]:
    """A polyline for each stretch of known values; a value on its own is a stroke without length, thus a point."""
    for stretch in _stretches(line.values):
        ends = stretch * 2 if len(stretch) == 1 else stretch
        points = " ".join(f"{x.at(places[at]):.1f},{y.at(value):.1f}" for at, value in ends)
        yield (
            f'<polyline class="line" points="{points}" style="stroke: {colour}">'
            f"<title>{escape(line.name)}</title></polyline>"
        )


def _points(line: ChartLine, places: Sequence[float], x: Axis, y: Axis, colour: str) -> Iterator[str]:
    """A point for each value, which says what it is."""
    for at, value in enumerate(line.values):
        if value is not None:
            said = escape(f"{line.name} at {places[at]:,.10g}: {show_figure(value)}")
            yield (
                f'<circle cx="{x.at(places[at]):.1f}" cy="{y.at(value):.1f}" r="3.5" style="fill: {colour}">'
                f"<title>{said}</title></circle>"
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

"""Charts of a page: lines that its script draws, and puts into a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.html.page_table import RunMark, run_mark

_DIGITS = 6
_MOST_NAMED = 16
"""Of more lines the table has the names."""


@dataclass(frozen=True, kw_only=True)
class ChartLine:
    """A line by its name: a value at each x, None where it is missing, where the line is broken.

    `run` is the place of its run, whose look it has and with which it is hidden; `style` is a look of its own, where
    several lines are one run's. `shaded` are stretches of x in which it does not count.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    run: int | None = None
    style: int | None = None
    shaded: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, kw_only=True)
class PageChart:
    """Lines over a common axis. `top` cuts y off, so that a few large values do not flatten all others."""

    id: str
    title: str
    x_title: str
    y_title: str
    lines: Sequence[ChartLine]
    note: str = ""
    top: float | None = None
    whole_x: bool = True

    @property
    def legend(self) -> list[tuple[str, RunMark]]:
        """Names and looks of several lines that are no runs: those have theirs at the head of the page."""
        if not 1 < len(self.lines) <= _MOST_NAMED or self.lines[0].run is not None:
            return []
        return [(line.name, run_mark(at if line.style is None else line.style)) for at, line in enumerate(self.lines)]

    @property
    def data(self) -> dict[str, Any]:
        """What the script of the page reads."""
        return {
            "id": self.id,
            "x": self.x_title,
            "y": self.y_title if self.y_title != self.title else "",
            "top": self.top,
            "whole": self.whole_x,
            "lines": [
                {
                    "name": line.name,
                    "run": line.run,
                    "style": next(it for it in (line.style, line.run, at) if it is not None),
                    "x": list(line.x),
                    "y": [_rounded(value) for value in line.y],
                    "shaded": [list(stretch) for stretch in line.shaded],
                }
                for at, line in enumerate(self.lines)
            ],
        }


def chart_or_none(chart: PageChart) -> PageChart | None:
    """The chart, None where no line has a value."""
    known = any(_rounded(value) is not None for line in chart.lines for value in line.y)
    return chart if known else None


def _rounded(value: float | None) -> float | None:
    """In as many digits as anyone reads, so that a page stays small; NaN and the infinities are missing."""
    return float(f"{value:.{_DIGITS}g}") if value is not None and math.isfinite(value) else None

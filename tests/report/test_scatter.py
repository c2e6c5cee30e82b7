"""The plot of a plan: every dot, and numbers that do not hide one another."""

import json
from itertools import combinations
from math import hypot

import pytest

from harness.report.html.axes import spanning_axis
from harness.report.html.scatter import RADIUS, Dot, ScatterPlot, scatter_plot


def _plot(dots: list[Dot], best: list[Dot], size: tuple[int, int] = (1040, 480)) -> ScatterPlot:
    return scatter_plot("wide", size, dots, best=best, joined=best, limit=80, error=0.1)


def test_every_dot_is_drawn() -> None:
    dots = [Dot(x=at, y=at % 7, text=str(at)) for at in range(1, 61)]
    assert _plot(dots, []).dots.count("h0") == 60


@pytest.mark.parametrize("size", [(1040, 480), (358, 400)])
def test_numbers_do_not_hide_one_another_and_stay_within(size: tuple[int, int]) -> None:
    best = [Dot(x=79 + at / 100, y=1000 - at, text="") for at in range(10)]
    plot = _plot([Dot(x=15, y=300, text=""), *best], best, size)
    assert [number.number for number in plot.numbers] == list(range(1, 11))
    for one, other in combinations(plot.numbers, 2):
        assert hypot(one.x - other.x, one.y - other.y) > 2 * RADIUS
    assert all(plot.left < number.x < plot.right and plot.top < number.y < plot.bottom for number in plot.numbers)


def test_the_script_turns_data_into_the_pixels_of_the_picture() -> None:
    dots = [Dot(x=10, y=300, text="a"), Dot(x=60, y=900, text="b")]
    frame = json.loads(_plot(dots, []).frame)
    pixels = [(frame["x"][0] + dot.x * frame["x"][1], frame["y"][0] + dot.y * frame["y"][1]) for dot in dots]
    assert _plot(dots, []).dots == "".join(f"M{x:.1f} {y:.1f}h0" for x, y in pixels)


def test_the_band_of_error_lies_about_the_limit() -> None:
    plot = _plot([Dot(x=15, y=300, text=""), Dot(x=90, y=300, text="")], [])
    assert plot.band[0] < plot.limit < plot.band[1] <= plot.right


def test_a_plot_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="dots"):
        _plot([], [])


def test_an_axis_goes_below_zero_only_for_values_that_do() -> None:
    assert spanning_axis([0.01, 1], (0, 1)).low == 0
    assert spanning_axis([-1, 1], (0, 1)).low < -1
    assert spanning_axis([-2, -2], (0, 1)).ticks()

"""The shell and the parts of pages."""

import pytest

from harness.report.html.page import PagePart, command_line, paragraph, render_page
from harness.report.html.scatter import Dot, render_scatter
from harness.report.html.table import render_table

HOSTILE = "<script>alert('&')</script>"


def test_whatever_a_name_holds_it_is_text() -> None:
    plot = render_scatter([Dot(x=1, y=1, text=HOSTILE, label=HOSTILE)], limit=2, x_title=HOSTILE, y_title=HOSTILE)
    parts = [paragraph(HOSTILE), command_line(HOSTILE), render_table([[HOSTILE]], [HOSTILE]), plot]
    page = render_page(HOSTILE, parts)
    assert "<script" not in page
    of_plot = 2 + 2 + 1 + 1  # its name and its axes hold both titles, its dot a text and a label
    assert page.count("&lt;script&gt;") == 2 + 1 + 1 + 2 + of_plot


def test_parts_stand_in_their_order_and_their_style_once() -> None:
    style = "b { color: red; }"
    page = render_page("t", [PagePart("<b>1</b>", style), PagePart("<i>2</i>"), PagePart("<b>3</b>", style)])
    assert page.count(style) == 1
    assert page.index("<h1>t</h1>") < page.index("<b>1</b>") < page.index("<i>2</i>") < page.index("<b>3</b>")


def test_a_plot_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="dots"):
        render_scatter([], limit=1, x_title="x", y_title="y")

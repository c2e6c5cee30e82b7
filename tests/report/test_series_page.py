"""A series of evaluations as a page."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from evaluation_documents import LAYERS, evaluation_document
from page_markup import page_markup

from harness.report.html.axes import spanning_axis
from harness.report.html.line_chart import ChartLine, render_lines
from harness.report.html.series_page import series_page

HOSTILE = "<script>alert('&')</script>"


def _series(*steps: int) -> list[dict[str, Any]]:
    return [evaluation_document(step, loss=5 - step / 100, noise=step % 7) for step in steps]


def _section(page: str, name: str) -> str:
    (found,) = re.findall(rf"<section><h3>{re.escape(name)} .*?</section>", page, re.DOTALL)
    return str(found)


def test_the_page_is_whole_fetches_nothing_and_has_a_chart_and_a_table_a_metric() -> None:
    page = series_page(_series(50, 100, 150))
    markup = page_markup(page)
    assert (markup.open, markup.fetched) == ([], [])
    assert "url(" not in page and "@import" not in page and "<script" not in page
    assert "prefers-color-scheme: dark" in page
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == ["Loss", "Routing", "Speed", "Cost", "Tasks"]
    charts = markup.kinds.count("svg.None")
    assert charts == markup.kinds.count("section.None") == markup.kinds.count("table.None") > 20
    assert re.findall(r"<h3>(\S+)", page.split("<h2>Routing</h2>")[1])[0].startswith("aggregate.")
    for picture in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(picture)


def test_layers_share_the_chart_of_their_metric() -> None:
    section = _section(series_page(_series(50, 100)), "gini_coefficient")
    assert section.count('<polyline class="line"') == LAYERS
    assert section.count("<circle") == 2 * LAYERS
    assert "layer_1</li>" in section
    assert section.count("<tr>") == 1 + 2
    assert "lower is better" in section


def test_saturation_has_a_line_a_layer() -> None:
    stated = {"of_step": 2, "steps": [{"step": 1, "layers": {"layer_0": 0.5, "layer_1": None, "mtp_0": 0.25}}]}
    page = series_page(_series(1, 2), stated)
    assert _section(page, "saturation").count("<td>0.5</td>") == 1
    assert "mtp_0</li>" in _section(page, "saturation")
    assert _section(page, "aggregate.avg_saturation").count("<td>0.5</td>") == 1


def test_a_missing_value_breaks_the_line_and_is_a_dash_in_the_table() -> None:
    documents = _series(1, 2, 3, 4, 5)
    documents[2]["validation"]["loss"] = None
    section = _section(series_page(documents), "loss")
    assert section.count('<polyline class="line"') == 2
    assert section.count("<circle") == 4
    assert "<td>3</td><td>–</td>" in section


def test_points_stand_where_their_values_are() -> None:
    """The frame is 640 by 320 with 70, 30, 20 and 50 around it; the axes reach 6 % beyond the values."""
    chart = render_lines([ChartLine(name="a", values=(1, 3))], (10, 20), x_title="x", y_title="y").markup
    room, width, height = 0.06 / 1.12, 640 - 70 - 30, 320 - 20 - 50
    left, right, low, high = 70 + room * width, 610 - room * width, 270 - room * height, 20 + room * height
    assert f'points="{left:.1f},{low:.1f} {right:.1f},{high:.1f}"' in chart


def test_many_layers_make_no_large_page() -> None:
    values = tuple(float(at) for at in range(20))
    lines = [ChartLine(name=f"layer_{at}", values=values) for at in range(61)]
    chart = render_lines(lines, range(20), x_title="step", y_title="Gini").markup
    assert "<circle" not in chart
    assert len(chart) < 50_000


def test_whatever_a_document_holds_is_text() -> None:
    documents = _series(1, 2)
    for document in documents:
        document["model"] = HOSTILE
        document["lm_eval"]["results"] = {HOSTILE: {"acc,none": 0.5}}
        document["routing_stats"][HOSTILE] = {"entropy": 0.5}
    page = series_page(documents)
    assert "<script" not in page
    assert page_markup(page).open == []


def test_results_of_no_step_stand_in_their_order() -> None:
    documents = _series(1, 2)
    documents[0]["step"] = None
    page = series_page(documents)
    assert 'aria-label="loss against result"' in page


@pytest.mark.parametrize("documents", [[], [{}]])
def test_a_page_of_nothing_is_refused(documents: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="metrics"):
        series_page(documents)


def test_an_axis_goes_below_zero_only_for_values_that_do() -> None:
    assert spanning_axis([0.01, 1], (0, 1)).low == 0
    assert spanning_axis([-1, 1], (0, 1)).low < -1
    assert spanning_axis([-2, -2], (0, 1)).ticks()

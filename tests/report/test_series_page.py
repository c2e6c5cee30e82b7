"""A series of evaluations as a page."""

import json
import re
from typing import Any

import pytest
from evaluation_documents import LAYERS, evaluation_document
from page_markup import page_markup

from harness.report.html.routing_map import routing_map
from harness.report.html.series_page import series_page

HOSTILE = "<script>alert('&')</script>"
MADE = "2026-01-01T00:00:00Z"


def _series(*steps: int) -> list[dict[str, Any]]:
    return [evaluation_document(step, loss=5 - step / 100, noise=step % 7) for step in steps]


def _charts(page: str) -> dict[str, dict[str, Any]]:
    """The charts of a page by their titles."""
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', page, re.DOTALL)
    assert found
    charts = {chart["id"]: chart for chart in json.loads(found[1])["charts"]}
    titles = re.findall(r'data-chart="([^"]+)">\s*<figcaption><h3>(.*?)</h3>', page)
    return {title: charts[at] for at, title in titles}


def test_the_page_is_whole_fetches_nothing_and_has_a_chart_a_metric() -> None:
    page = series_page(_series(50, 100, 150), made=MADE)
    markup = page_markup(page)
    assert markup.open == []
    assert all(address.startswith("#") for address in markup.fetched)
    assert "url(" not in page
    assert "@import" not in page
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["Loss", "Routing", "Speed", "Cost", "Tasks"]
    assert len(_charts(page)) > 20
    assert _charts(page)["loss"]["lines"][0]["x"] == [50, 100, 150]


def test_layers_share_the_chart_of_their_metric() -> None:
    chart = _charts(series_page(_series(50, 100), made=MADE))["gini_coefficient"]
    assert [line["name"] for line in chart["lines"]] == [f"layer_{at}" for at in range(LAYERS)]
    assert len({line["style"] for line in chart["lines"]}) == LAYERS


def test_saturation_has_a_line_a_layer() -> None:
    stated = {"of_step": 2, "steps": [{"step": 1, "layers": {"layer_0": 0.5, "layer_1": None, "mtp_0": 0.25}}]}
    charts = _charts(series_page(_series(1, 2), stated, made=MADE))
    assert {line["name"]: line["y"][0] for line in charts["saturation"]["lines"]} == {"layer_0": 0.5, "mtp_0": 0.25}
    assert charts["aggregate.avg_saturation"]["lines"][0]["y"] == [0.5, None]


def test_a_missing_value_breaks_the_line() -> None:
    documents = _series(1, 2, 3)
    documents[1]["validation"]["loss"] = None
    values = _charts(series_page(documents, made=MADE))["loss"]["lines"][0]["y"]
    assert values[1] is None
    assert None not in (values[0], values[2])


def test_whatever_a_document_holds_is_text() -> None:
    documents = _series(1, 2)
    for document in documents:
        document["model"] = HOSTILE
        document["lm_eval"]["results"] = {HOSTILE: {"acc,none": 0.5}}
        document["routing_stats"][HOSTILE] = {"entropy": 0.5, "tokens_per_expert": [1, 2, 3, 4, 5, 6, 7, 8]}
    page = series_page(documents, made=MADE)
    assert page.count("<script") == 3
    assert page_markup(page).open == []


def test_results_of_no_step_stand_in_their_order() -> None:
    documents = _series(1, 2)
    documents[0]["step"] = None
    assert _charts(series_page(documents, made=MADE))["loss"]["x"] == "result"


@pytest.mark.parametrize("documents", [[], [{}]])
def test_a_page_of_nothing_is_refused(documents: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="metrics"):
        series_page(documents, made=MADE)


def test_the_map_draws_every_expert_once() -> None:
    loads = [0, 50, 100, 100, 100, 150, 300, 0]
    document = evaluation_document()
    document["routing_stats"] = {"layer_3": {"tokens_per_expert": loads}}
    found = routing_map(document, "a", 0, run=0)
    assert found is not None
    assert found.loads == [loads]
    drawn = [level.path for level in found.levels] + [found.dead]
    cells = [
        int(start) + at
        for path in drawn
        for start, length in re.findall(r"M(\d+) 0.5h(\d+)", path)
        for at in range(int(length))
    ]
    assert sorted(cells) == list(range(8))
    assert found.dead == "M0 0.5h1M7 0.5h1"
    assert next(level.path for level in found.levels if level.level == 4) == "M2 0.5h3"


def test_without_loads_there_is_no_map() -> None:
    assert routing_map({"routing_stats": {"aggregate": {}}}, "a", 0, run=None) is None

"""A comparison of evaluations as text and as data."""

import json

from evaluation_documents import LAYERS, evaluation_document

from harness.compare.evaluations import compare_evaluations
from harness.report.text.evaluation_comparison import comparison_data, show_comparison


def _lines(text: str) -> dict[str, str]:
    return {line.split("  ")[0]: line for line in text.splitlines()}


def test_what_is_better_and_whether_beyond_the_noise() -> None:
    found = compare_evaluations([evaluation_document(100), evaluation_document(200, noise=1, loss=2.9, skew=0.15)])
    lines = _lines(show_comparison(found))
    assert lines["loss"].split()[1:5] == ["2.8023", "2.6997", "*", "-0.103"]
    assert lines["loss"].split()[5:] == [*("yes,", "p", "<", "0.0001"), *("paired", "t", "over", "40", "windows")]
    assert "0.39 *" in lines["chapters acc,none"]
    assert "no, p = 0.082; 0.12 would have shown  " in lines["chapters acc,none"]
    assert lines["chapters acc,none"].endswith("  McNemar exact over 200 documents, 85 changed")
    assert "–" in lines["mtp_loss.mtp_0"]
    assert lines["gini_coefficient"].split() == ["gini_coefficient", str(LAYERS), str(LAYERS), "+0.111", "+0.114"]
    assert not [name for name in lines if name.startswith("layer_")]


def test_speeds_that_lie_apart_differ_perhaps() -> None:
    lines = _lines(show_comparison(compare_evaluations([evaluation_document(1), evaluation_document(2, noise=30)])))
    assert lines["latency_ms"].endswith("no test: p05 to p95 of the repeats lie apart")
    assert "  perhaps  " in lines["latency_ms"]


def test_three_have_a_verdict_each() -> None:
    documents = [evaluation_document(step, noise=step, parts=("loss",)) for step in (1, 2, 3)]
    text = show_comparison(compare_evaluations(documents))
    assert text.count("iter_0000002: no, p = ") == 3
    assert text.count("iter_0000003: ") == 4


def test_what_one_lacks_is_said() -> None:
    found = compare_evaluations([evaluation_document(100), evaluation_document(200, parts=("loss",))])
    assert "\nspeed is left out: only iter_0000100 measured it\n" in show_comparison(found)


def test_data_have_every_layer() -> None:
    found = compare_evaluations([evaluation_document(100), evaluation_document(200, noise=1, loss=2.9)])
    data = json.loads(json.dumps(comparison_data(found), allow_nan=False))
    metrics = {metric["name"]: metric for metric in data["metrics"]}
    assert data["results"] == ["iter_0000100", "iter_0000200"]
    assert {f"layer_{at}.entropy" for at in range(LAYERS)} <= metrics.keys()
    loss = metrics["loss"]
    assert (loss["part"], loss["direction"], loss["better"]) == ("loss", "lower", "iter_0000200")
    (contrast,) = loss["contrasts"]
    assert contrast["difference"] == loss["values"][1] - loss["values"][0]
    assert contrast["significance"]["beyond"] is True
    assert 0 < contrast["significance"]["p"] < data["alpha"]

"""A comparison of runs as text and as data."""

import json

import pytest
from run_records import alone, measured_run

from harness.compare.comparison import Comparison
from harness.compare.measured_run import MeasuredRun
from harness.compare.runs import compare_runs
from harness.report.text.run_comparison import run_comparison_data, run_sentences, show_run_comparison


def _found(*runs: MeasuredRun, force: bool = False) -> Comparison:
    return compare_runs([alone(run) for run in runs], force=force)


@pytest.mark.parametrize(
    ("step_s", "begins"),
    [(1.041, "slower by 4."), (0.96, "faster by 4."), (1.0, "no difference that these samples could show; the least")],
)
def test_the_sentence(step_s: float, begins: str) -> None:
    (sentence,) = run_sentences(_found(measured_run("a"), measured_run("b", step_s=step_s, seed=1)))
    assert sentence.startswith(begins), sentence
    assert sentence.endswith("]" if step_s != 1 else "%")


def test_another_batch_is_compared_by_its_tokens() -> None:
    (sentence,) = run_sentences(_found(measured_run("a", GBS=64), measured_run("b", GBS=128, step_s=1.1, seed=1)))
    assert sentence.startswith("fewer by 9.")


def test_few_steps_tell_nothing() -> None:
    (sentence,) = run_sentences(_found(measured_run("a", count=5), measured_run("b", count=5)))
    assert sentence.startswith("whether it is slower or faster cannot be told: 3 and 3 steps")


def test_the_configuration_stands_before_the_figures_and_the_prediction_beside_them() -> None:
    text = show_run_comparison(_found(measured_run("a", EP=2), measured_run("b", EP=4), measured_run("c", EP=8)))
    assert text.index("differs") < text.index("step time") < text.index("predicted step time")
    assert "900.0 ms (-10." in text
    assert "B: no difference" in text and "C: no difference" in text
    assert "--force" not in text


def test_what_was_forced_is_said_in_text_and_data() -> None:
    found = _found(measured_run("a"), measured_run("b", MODEL="DeepSeek-V3"), force=True)
    assert "compared by --force, although these are not alike:\n  b is unlike a: model" in show_run_comparison(found)
    data = json.loads(json.dumps(run_comparison_data(found), allow_nan=False))
    assert data["forced"] is True and "DeepSeek-V3" in data["unlike"][0]
    assert data["runs"] == ["a", "b"] and set(data["sentences"]) == {"b"}
    step = next(it for it in data["metrics"] if it["name"] == "step_s")
    assert step["contrasts"][0]["significance"]["effect"]["interval"][0] <= 0

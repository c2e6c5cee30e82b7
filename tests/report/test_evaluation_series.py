"""A series of evaluations as a table."""

import pytest
from evaluation_documents import ROLLING, TASK, evaluation_document

from harness.report.text.evaluation_series import show_series
from harness.report.text.figure import show_change, show_figure
from harness.report.text.spark_line import spark_line


def test_steps_ascend_and_each_metric_has_its_line() -> None:
    documents = [evaluation_document(step, loss=5 - step / 100, noise=3) for step in (50, 200, 100)]
    header, _, *rows, sparks = show_series(documents).splitlines()
    names = header.split("  ")
    assert [row.split()[0] for row in rows] == ["50", "100", "200"]
    assert [name.strip() for name in names if name.strip()] == [
        *("step", "loss", "perplexity", "bits/byte", "Gini", "CV", "utilisation", "latency (ms)", "tokens/s"),
        *(f"{TASK} acc", f"{ROLLING} bits_per_byte"),
    ]
    assert sparks.split()[:4] == ["█▆▁", "█▄▁", "█▆▁", "▄▄▄"]
    assert header.index("loss") == sparks.index("█▆▁")


def test_a_missing_value_is_a_dash_and_a_gap() -> None:
    documents = [evaluation_document(step, noise=step) for step in (1, 2, 3)]
    documents[1]["validation"]["loss"] = None
    documents[2]["validation"]["loss"] = "nan"
    rows = show_series(documents).splitlines()[2:]
    assert [row.split()[1] for row in rows[1:3]] == ["–", "–"]
    assert spark_line([1.0, None, 2.0]) == "▁ █"


def test_a_metric_that_none_has_is_no_column() -> None:
    text = show_series([evaluation_document(1, parts=("loss",)), evaluation_document(2, parts=("loss",))])
    assert text.splitlines()[0].split() == ["step", "loss", "perplexity", "bits/byte"]


def test_a_group_stands_for_its_tasks() -> None:
    documents = [evaluation_document(step) for step in (1, 2)]
    for document in documents:
        document["lm_eval"]["tasks"] = [TASK]
    assert ROLLING not in show_series(documents)


def test_saturation_is_of_all_but_the_last() -> None:
    stated = {"of_step": 3, "steps": [{"step": 2, "layers": {"layer_0": 0.5, "layer_1": 0.7, "mtp_0": 0.1}}]}
    documents = [evaluation_document(step, parts=("loss",)) for step in (1, 2, 3)]
    rows = [row.split() for row in show_series(documents, stated).splitlines()]
    assert rows[0][-1] == "saturation"
    assert [row[-1] for row in rows[2:5]] == ["–", "0.6", "–"]


def test_a_checkpoint_of_no_step_comes_first_and_alone_has_no_lines() -> None:
    documents = [evaluation_document(5), evaluation_document(0)]
    documents[1]["step"] = None
    assert [row.split()[0] for row in show_series(documents).splitlines()[2:4]] == ["–", "5"]
    assert len(show_series(documents[:1]).splitlines()) == 3


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([None, None], ""),
        ([2.0, 2.0], "▄▄"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        (list(range(1000)), "▁▁▂▂▃▃▄▄▅▅▆▆▇▇██"),
    ],
)
def test_spark_lines(values: list[float | None], line: str) -> None:
    assert spark_line(values) == line


def test_figures() -> None:
    assert [show_figure(value) for value in (2.718281828, 51234.5, 1.2e-05, 0, 1.0)] == [
        *("2.7183", "51,234", "1.2e-05", "0", "1")
    ]
    assert [show_change(value) for value in (0.0, -0.01234, 12345.6)] == ["0", "-0.0123", "+12,346"]

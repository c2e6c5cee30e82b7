"""A series of evaluations as one table over steps."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from harness.compare.metrics import ResultDocument, split_task_metric
from harness.compare.series import AVG_SATURATION, EvaluationSeries, SeriesLine, read_series
from harness.evaluation.spec import EvaluatedPart
from harness.report.text.figure import show_figure
from harness.report.text.plain_table import plain_table, show_known
from harness.report.text.spark_line import spark_line

_COLUMNS: Sequence[tuple[str, EvaluatedPart, str]] = (
    ("loss", "loss", "loss"),
    ("perplexity", "loss", "perplexity"),
    ("bits/byte", "loss", "bits_per_byte"),
    ("Gini", "routing", "aggregate.avg_gini_coefficient"),
    ("CV", "routing", "aggregate.avg_coefficient_of_variation"),
    ("utilisation", "routing", "aggregate.avg_expert_utilization_rate"),
    ("saturation", "routing", AVG_SATURATION),
    ("latency (ms)", "speed", "latency_ms"),
    ("tokens/s", "speed", "throughput_tokens_per_sec"),
)
"""Header, part and name of the metrics that stand in the table; of tasks it is the first metric of each."""


def show_series(documents: Sequence[ResultDocument], saturation: Mapping[str, Any] | None = None) -> str:
    """One row a checkpoint, by step, and under each column how it went; metrics that none has are left out.

    `saturation` is what the evaluation of a series states of its routers.
    """
    series = read_series(documents, saturation)
    columns = list(_columns(series))
    rows = [
        [show_known(step, str), *(show_known(line.values[at], show_figure) for _, line in columns)]
        for at, step in enumerate(series.steps)
    ]
    if len(rows) > 1:
        rows.append(["", *(spark_line(line.values) for _, line in columns)])
    return plain_table(rows, ["step", *(header for header, _ in columns)])


def _columns(series: EvaluationSeries) -> Iterator[tuple[str, SeriesLine]]:
    named = ((header, series.line(part, name)) for header, part, name in _COLUMNS)
    return ((header, line) for header, line in chain(named, _task_columns(series)) if line)


def _task_columns(series: EvaluationSeries) -> Iterator[tuple[str, SeriesLine]]:
    """The first metric of each task that was asked for, as lm-eval orders them: not of all that a group holds."""
    first: dict[str, tuple[str, SeriesLine]] = {}
    for line in series.lines:
        if line.part == "tasks":
            task, metric, _ = split_task_metric(line.name)
            first.setdefault(task, (f"{task} {metric}", line))
    asked = [column for task, column in first.items() if task in series.tasks]
    return iter(asked or first.values())

"""The scores of lm-eval's tasks as a table."""

from collections.abc import Iterator, Mapping
from typing import Any

from harness.report.text.evaluation_figures import number_of, section_of, show_number
from harness.report.text.plain_table import plain_table

_STDERR = "_stderr"
_NO_METRICS = frozenset({"sample_len", "sample_count"})
_NO_FILTER = "none"


def show_scores(lm_eval: Mapping[str, Any]) -> str:
    """A row a metric of each task, with its standard error where lm-eval gives one."""
    results = section_of(lm_eval, "results")
    rows = [row for task in results for row in _task_rows(task, section_of(results, task), _samples(lm_eval, task))]
    return plain_table(rows, ["task", "documents", "metric", "score", "stderr"])


def _task_rows(task: str, scores: Mapping[str, Any], samples: str) -> Iterator[list[str]]:
    """The task and its number of documents stand in its first row."""
    first = [task, samples]
    for key in scores:
        metric, _, of_filter = key.partition(",")
        if metric.endswith(_STDERR) or metric in _NO_METRICS or number_of(scores, key) is None:
            continue
        shown = metric if of_filter in ("", _NO_FILTER) else f"{metric} ({of_filter})"
        stderr = f"{metric}{_STDERR},{of_filter}" if of_filter else f"{metric}{_STDERR}"
        yield [*first, shown, show_number(scores, key, "{:.4f}".format), show_number(scores, stderr, "{:.4f}".format)]
        first = ["", ""]


def _samples(lm_eval: Mapping[str, Any], task: str) -> str:
    return show_number(section_of(lm_eval, "n-samples", task), "effective", "{:,.0f}".format)

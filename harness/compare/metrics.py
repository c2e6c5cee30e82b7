"""The metrics that an evaluation's result document holds, each with the direction that is better.

The names are those of the document: a metric of the section `routing_stats` is `layer_3.gini_coefficient`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from harness.evaluation.spec import PARTS, EvaluatedPart

type ResultDocument = Mapping[str, Any]
type Direction = Literal["lower", "higher", "neither"]

SECTIONS: Mapping[EvaluatedPart, str] = {
    "loss": "validation",
    "routing": "routing_stats",
    "speed": "inference_performance",
    "cost": "computational_cost",
    "tasks": "lm_eval",
}
"""Where a result document keeps what each part measured."""

DIRECTIONS: Mapping[EvaluatedPart, Mapping[str, Direction]] = {
    "loss": {"loss": "lower", "perplexity": "lower", "bits_per_byte": "lower", "mtp_loss": "lower"},
    "routing": {
        "gini_coefficient": "lower",
        "coefficient_of_variation": "lower",
        "expert_utilization_rate": "higher",
        "dead_experts": "lower",
        "dropped_assignments": "lower",
        "max_over_mean": "lower",
        "max_vio": "lower",
        "max_vio_batch.mean": "lower",
        "max_vio_batch.max": "lower",
        "entropy": "higher",
        "balancedness.mean_over_max": "higher",
        "vocabulary_specialization.mean": "neither",
        "vocabulary_specialization.repeated_mean": "neither",
        "avg_gini_coefficient": "lower",
        "avg_coefficient_of_variation": "lower",
        "avg_expert_utilization_rate": "higher",
    },
    "speed": {
        "latency_ms": "lower",
        "throughput_tokens_per_sec": "higher",
        "ms_per_token": "lower",
        "tokens_per_s": "higher",
        "memory_allocated_gb": "lower",
        "memory_reserved_gb": "lower",
    },
    "cost": {
        "tflops": "neither",
        "tflops_per_s": "higher",
        "flops_per_token": "neither",
        "active_params_billions": "neither",
        "total_params_billions": "neither",
    },
}
"""By the beginning or the end of a metric's name; what else a section holds is none. lm-eval says it of tasks."""

_NOT_MEASURED = frozenset({"noise"})
"""Keys under which a section keeps what a metric is held against."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One value of a result; `stderr` is its standard error, None where it is not known."""

    part: str
    name: str
    direction: Direction
    value: float
    stderr: float | None = None


def section(document: ResultDocument, part: EvaluatedPart) -> Mapping[str, Any]:
    """What the part measured; empty where it was not."""
    return mapping_at(document, SECTIONS[part])


def shared_parts(documents: Sequence[ResultDocument]) -> list[EvaluatedPart]:
    """The parts that all of them measured."""
    return [part for part in PARTS if all(section(document, part) for document in documents)]


def left_out(documents: Sequence[ResultDocument], names: Sequence[str]) -> list[str]:
    """A sentence for each part that only some of them measured; `names` are those of the documents."""
    sentences = []
    for part in PARTS:
        having = [name for name, document in zip(names, documents, strict=True) if section(document, part)]
        if 0 < len(having) < len(documents):
            sentences.append(f"{part} is left out: only {' and '.join(having)} measured it")
    return sentences


def mapping_at(document: object, *keys: str) -> Mapping[str, Any]:
    """What the keys lead to, one within the other; empty where there is no such object."""
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document if isinstance(document, Mapping) else {}


def read_metrics(document: ResultDocument, part: EvaluatedPart) -> dict[str, Metric]:
    """The metrics of a part by their names, in the document's order; those that are missing or not finite left out."""
    found = _task_metrics(document) if part == "tasks" else _plain_metrics(document, part)
    return {metric.name: metric for metric in found}


def finite(value: object) -> float | None:
    """A number of a document; None for what is none, not finite, or missing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) else None


def finite_list(values: object) -> list[float]:
    """The numbers of a document's list; empty for what is none, and where one of them is not finite."""
    found = [finite(value) for value in values] if isinstance(values, list) else []
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else []


def split_task_metric(name: str) -> tuple[str, str, str]:
    """`mmlu acc,none` → task, metric, filter."""
    task, _, key = name.rpartition(" ")
    metric, _, filter_name = key.partition(",")
    return task, metric, filter_name


def _plain_metrics(document: ResultDocument, part: EvaluatedPart) -> Iterator[Metric]:
    for path, value in _leaves(section(document, part), ()):
        known, parts_of_name = DIRECTIONS[part], (path[0], path[-1], ".".join(path[-2:]))
        if direction := next((known[name] for name in parts_of_name if name in known), None):
            yield Metric(part=part, name=".".join(path), direction=direction, value=value)


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Every number that no list holds, with the keys that lead to it."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            if key not in _NOT_MEASURED:
                yield from _leaves(below, (*path, str(key)))
    elif (number := finite(value)) is not None:
        yield path, number


def _task_metrics(document: ResultDocument) -> Iterator[Metric]:
    """lm-eval's: `results` {task: {"acc,none": value, "acc_stderr,none": its standard error}}."""
    said = section(document, "tasks")
    for task in mapping_at(said, "results"):
        higher = mapping_at(said, "higher_is_better", task)
        for key, value in mapping_at(said, "results", task).items():
            metric, _, filter_name = key.partition(",")
            number = finite(value)
            if number is None or not filter_name or metric.endswith("_stderr"):
                continue
            yield Metric(
                part="tasks",
                name=f"{task} {key}",
                direction=_task_direction(higher.get(metric)),
                value=number,
                stderr=finite(said["results"][task].get(f"{metric}_stderr,{filter_name}")),
            )


def _task_direction(higher_is_better: object) -> Direction:
    if not isinstance(higher_is_better, bool):
        return "neither"
    return "higher" if higher_is_better else "lower"

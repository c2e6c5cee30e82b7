"""What evaluations kept beside a metric that tells a difference from noise: windows, documents, counts, spreads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import expm1
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compare.metrics import Metric, finite, finite_list, mapping_at, section, split_task_metric
from harness.compare.redraws import by_redraws, mean_of_layers, redrawn_differences
from harness.compare.significance import (
    Significance,
    by_spread,
    from_errors,
    paired_means,
    paired_ratios,
    untested,
)
from harness.evaluation.document import ResultDocument
from harness.evaluation.spec import Part

SPREAD = "p05 to p95 of the repeats"


@dataclass(frozen=True)
class ComparedPair:
    """Two results, the baseline first, with what both kept."""

    first: ResultDocument
    second: ResultDocument

    def weigh(self, a: Metric, b: Metric) -> Significance:
        """Whether the metric `b` of the second differs from `a`, the same of the first, beyond the noise."""
        return _EVIDENCE[a.part](self, a, b)

    @cached_property
    def redrawn(self) -> dict[str, dict[str, NDArray[np.float64]]]:
        """By the name of a layer, differences of its figures from noise alone; `aggregate` is the decoder's mean."""
        first, second = (section(document, "routing") for document in (self.first, self.second))
        layers = {
            name: redrawn_differences(counts, others)
            for name in first
            if (counts := _load(first, name)) and (others := _load(second, name)) and len(counts) == len(others)
        }
        decoder = [redrawn for name, redrawn in layers.items() if name.startswith("layer_")]
        return layers | ({"aggregate": mean_of_layers(decoder)} if decoder else {})


def _of_loss(pair: ComparedPair, a: Metric, b: Metric) -> Significance:
    """Loss by its windows; perplexity and bits a byte rise with it over the same tokens, so its test is theirs."""
    if a.name not in ("loss", "perplexity", "bits_per_byte"):
        return untested("no windows of it were kept")
    test, loss = _of_windows(pair), finite(section(pair.first, "loss").get("loss"))
    if test.least is None or a.name == "loss":
        return test
    if a.name == "perplexity":
        return replace(test, least=a.value * expm1(test.least))
    return replace(test, least=a.value / loss * test.least if loss else None)


def _of_windows(pair: ComparedPair) -> Significance:
    a, b = _windows(pair.first), _windows(pair.second)
    if not a or not b:
        return untested("no losses of windows were kept")
    if [tokens for _, tokens in a] != [tokens for _, tokens in b]:
        return untested("the windows are not the same")
    return paired_ratios([nll for nll, _ in a], [nll for nll, _ in b], [tokens for _, tokens in a], unit="windows")


def _windows(document: ResultDocument) -> list[list[float]]:
    """The sum of losses and the number of tokens of each window; empty where one of them is not known."""
    kept = section(document, "loss").get("windows")
    found = [finite_list(window) for window in kept] if isinstance(kept, list) else []
    return found if all(len(window) == 2 for window in found) else []


def _of_tasks(pair: ComparedPair, a: Metric, b: Metric) -> Significance:
    """By the scores of the same documents where both kept them and the metric is their mean, else by its errors."""
    scores, others = _scores(pair.first, a), _scores(pair.second, b)
    if scores.keys() == others.keys() and _is_mean(scores, a) and _is_mean(others, b):
        return paired_means(list(scores.values()), [others[key] for key in scores], unit="documents")
    if a.stderr is None or b.stderr is None:
        return untested("neither scores of documents nor standard errors")
    return from_errors(b.value - a.value, a.stderr, b.stderr)


def _scores(document: ResultDocument, metric: Metric) -> dict[object, float]:
    """The score of each document of a task, by its id; empty where they were not kept."""
    task, name, filter_name = split_task_metric(metric.name)
    kept = mapping_at(section(document, "tasks"), "samples").get(task)
    rows = [mapping_at(row) for row in kept] if isinstance(kept, list) else []
    rows = [row for row in rows if row.get("filter", filter_name) == filter_name]
    found = {row.get("doc_id"): _score(row.get(name)) for row in rows}
    return {key: score for key, score in found.items() if score is not None} if len(found) == len(rows) else {}


def _score(value: object) -> float | None:
    return float(value) if isinstance(value, bool) else finite(value)


def _is_mean(scores: Mapping[object, float], metric: Metric) -> bool:
    """Whether the metric is the mean of these scores; an F1 over all documents, say, is not."""
    return bool(scores) and abs(sum(scores.values()) / len(scores) - metric.value) <= 1e-6 * max(1.0, abs(metric.value))


def _of_routing(pair: ComparedPair, a: Metric, b: Metric) -> Significance:
    scope, _, figure = a.name.rpartition(".")
    if figure == "mean_over_max":
        redrawn = _redrawn_ranks(pair, scope).get(figure)
    else:
        redrawn = pair.redrawn.get(scope, {}).get(figure.removeprefix("avg_"))
    return untested("no counts of it were kept") if redrawn is None else by_redraws(b.value - a.value, redrawn)


def _redrawn_ranks(pair: ComparedPair, scope: str) -> dict[str, NDArray[np.float64]]:
    """Differences of figures of the loads of ranks, from noise alone; `scope` is `layer_3.balancedness`."""
    counts, others = (
        finite_list(mapping_at(section(document, "routing"), *scope.split(".")).get("tokens_per_rank"))
        for document in (pair.first, pair.second)
    )
    return redrawn_differences(counts, others) if any(counts) and any(others) and len(counts) == len(others) else {}


def _load(routing: Mapping[str, Any], layer: str) -> list[float]:
    """The assignments of each expert of a layer; empty where they were not kept, or there are none."""
    load = finite_list(mapping_at(routing, layer).get("tokens_per_expert"))
    return load if any(load) else []


def _of_speed(pair: ComparedPair, a: Metric, b: Metric) -> Significance:
    ranges = [_spread(document, a.name) for document in (pair.first, pair.second)]
    if ranges[0] is None or ranges[1] is None:
        return untested("no spread of it was kept")
    return by_spread(ranges[0], ranges[1], SPREAD)


def _spread(document: ResultDocument, name: str) -> tuple[float, float] | None:
    """p05 and p95 of the repeats."""
    scope, _, leaf = name.rpartition(".")
    holder = mapping_at(section(document, "speed"), *filter(None, scope.split(".")))
    low, high = (finite(holder.get(f"{leaf}_{quantile}")) for quantile in ("p05", "p95"))
    return None if low is None or high is None else (low, high)


def _of_cost(pair: ComparedPair, a: Metric, b: Metric) -> Significance:
    if a.direction != "neither":
        return untested("it follows from the latency")
    return Significance(method="computed, without noise", beyond=a.value != b.value)


_EVIDENCE: Mapping[Part, Callable[[ComparedPair, Metric, Metric], Significance]] = {
    "loss": _of_loss,
    "routing": _of_routing,
    "speed": _of_speed,
    "cost": _of_cost,
    "tasks": _of_tasks,
}

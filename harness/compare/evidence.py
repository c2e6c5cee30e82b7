"""What an evaluation kept beside a metric that tells a difference from noise: windows, documents, floors, spreads."""

from collections.abc import Callable, Mapping
from math import expm1
from typing import Any

from harness.compare.metrics import Document, Metric, finite, section, split_task_metric
from harness.compare.significance import (
    Significance,
    against_floor,
    by_spread,
    from_errors,
    paired_means,
    paired_ratios,
    untested,
)
from harness.evaluation.spec import Part

type Evidence = Callable[[Document, Document, Metric, Metric], Significance]

FLOOR = "the noise floor of uniform random routing"
SPREAD = "the ranges from p05 to p95 of the repeats"


def weigh(first: Document, second: Document, a: Metric, b: Metric) -> Significance:
    """Whether the metric `b` of the second document differs from `a`, the same of the first, beyond the noise."""
    return _EVIDENCE[a.part](first, second, a, b)


def _of_loss(first: Document, second: Document, a: Metric, b: Metric) -> Significance:
    """Loss by its windows; perplexity and bits a byte rise with it over the same tokens, so its test is theirs."""
    if a.name not in ("loss", "perplexity", "bits_per_byte"):
        return untested("no windows were kept of it")
    test = _of_windows(first, second)
    loss = finite(section(first, "loss").get("loss"))
    if test.least is None or a.name == "loss":
        return test
    if a.name == "perplexity":
        return test.scaled(a.value * expm1(test.least) / test.least)
    return test.scaled(a.value / loss) if loss else untested("no loss to scale it by")


def _of_windows(first: Document, second: Document) -> Significance:
    a, b = section(first, "loss").get("windows"), section(second, "loss").get("windows")
    if not a or not b:
        return untested("no losses of windows were kept")
    if [tokens for _, tokens in a] != [tokens for _, tokens in b]:
        return untested("the windows are not the same")
    return paired_ratios([nll for nll, _ in a], [nll for nll, _ in b], [tokens for _, tokens in a], unit="windows")


def _of_tasks(first: Document, second: Document, a: Metric, b: Metric) -> Significance:
    """By the scores of the same documents where both kept them and the metric is their mean, else by its errors."""
    scores, others = _scores(first, a), _scores(second, b)
    if scores.keys() == others.keys() and _is_mean(scores, a) and _is_mean(others, b):
        return paired_means(list(scores.values()), [others[key] for key in scores], unit="documents")
    if a.stderr is None or b.stderr is None:
        return untested("neither scores of documents nor standard errors")
    return from_errors(b.value - a.value, a.stderr, b.stderr)


def _scores(document: Document, metric: Metric) -> dict[object, float]:
    """The score of each document of a task, by its id; empty where they were not kept."""
    task, name, filter_name = split_task_metric(metric.name)
    kept = section(document, "tasks").get("samples") or {}
    rows = [row for row in kept.get(task) or () if row.get("filter", filter_name) == filter_name]
    found = {row.get("doc_id"): _score(row.get(name)) for row in rows}
    return {key: score for key, score in found.items() if score is not None} if len(found) == len(rows) else {}


def _score(value: object) -> float | None:
    return float(value) if isinstance(value, bool) else finite(value)


def _is_mean(scores: Mapping[object, float], metric: Metric) -> bool:
    """Whether the metric is the mean of these scores; an F1 over all documents, say, is not."""
    return bool(scores) and abs(sum(scores.values()) / len(scores) - metric.value) <= 1e-6 * max(1.0, abs(metric.value))


def _of_routing(first: Document, second: Document, a: Metric, b: Metric) -> Significance:
    floors = [floor for document in (first, second) if (floor := _floor(document, a.name)) is not None]
    if len(floors) < 2:
        return untested("no noise floor is known")
    return against_floor(b.value - a.value, max(floors), FLOOR)


def _floor(document: Document, name: str) -> float | None:
    """The noise floor of a layer's metric; of an average over layers the mean of theirs, which is above its own."""
    scope, _, leaf = name.rpartition(".")
    routing = section(document, "routing")
    if scope != "aggregate":
        return _noise(routing.get(scope), leaf)
    floors = [_noise(layer, leaf.removeprefix("avg_")) for key, layer in routing.items() if key.startswith("layer_")]
    known = [floor for floor in floors if floor is not None]
    return sum(known) / len(known) if known and len(known) == len(floors) else None


def _noise(layer: Any, leaf: str) -> float | None:
    noise = layer.get("noise") if isinstance(layer, Mapping) else None
    return finite(noise.get(leaf)) if isinstance(noise, Mapping) else None


def _of_speed(first: Document, second: Document, a: Metric, b: Metric) -> Significance:
    ranges = [_spread(document, a.name) for document in (first, second)]
    if ranges[0] is None or ranges[1] is None:
        return untested("no spread of it was kept")
    return by_spread(ranges[0], ranges[1], SPREAD)


def _spread(document: Document, name: str) -> tuple[float, float] | None:
    """p05 and p95 of the repeats."""
    scope, _, leaf = name.rpartition(".")
    holder: Any = section(document, "speed")
    for key in filter(None, scope.split(".")):
        holder = holder.get(key)
    low, high = (finite(holder.get(f"{leaf}_{quantile}")) for quantile in ("p05", "p95"))
    return None if low is None or high is None else (low, high)


def _of_cost(first: Document, second: Document, a: Metric, b: Metric) -> Significance:
    return Significance(method="computed, without noise", beyond=a.value != b.value)


_EVIDENCE: Mapping[Part, Evidence] = {
    "loss": _of_loss,
    "routing": _of_routing,
    "speed": _of_speed,
    "cost": _of_cost,
    "tasks": _of_tasks,
}

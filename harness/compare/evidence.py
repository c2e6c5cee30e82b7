"""What evaluations kept beside a metric that tells a difference from noise: windows, documents, counts, spreads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, expm1, isclose, log
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compare.metrics import Metric, ResultDocument, finite, finite_list, mapping_at, section, split_task_metric
from harness.compare.redraws import by_redraws, mean_of_layers, redrawn_differences
from harness.compare.significance import (
    Significance,
    by_spread,
    from_errors,
    paired_means,
    paired_ratios,
    untested,
)

SPREAD = "p05 to p95 of the repeats"
_THROUGHPUTS, _DURATIONS = ("throughput_tokens_per_sec", "tokens_per_s"), ("latency_ms", "ms_per_token")


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
    """By the scores of the same documents where both kept those that the metric comes of, else by its errors."""
    found = _of_means(pair, a, b) or _of_texts(pair, a, b)
    if found is not None:
        return found
    if a.stderr is None or b.stderr is None:
        return untested("neither scores of documents nor standard errors")
    return from_errors(b.value - a.value, a.stderr, b.stderr)


def _of_means(pair: ComparedPair, a: Metric, b: Metric) -> Significance | None:
    """Of a metric that is the mean of its documents' scores; None where it is not: an F1 over all of them, say."""
    scores, others = _scores(pair.first, a, _score), _scores(pair.second, b, _score)
    if not scores or scores.keys() != others.keys():
        return None
    if not all(_near(fmean(of.values()), metric.value) for of, metric in ((scores, a), (others, b))):
        return None
    return paired_means(list(scores.values()), [others[key] for key in scores], unit="documents")


def _of_texts(pair: ComparedPair, a: Metric, b: Metric) -> Significance | None:
    """Of a metric of log-likelihoods and lengths of whole texts: perplexity a word or byte, or bits a byte."""
    texts, others = _scores(pair.first, a, _text_score), _scores(pair.second, b, _text_score)
    if not texts or {key: of[1] for key, of in texts.items()} != {key: of[1] for key, of in others.items()}:
        return None
    pairs = [(nll, others[key][0], length) for key, (nll, length) in texts.items()]
    first, second, lengths = (list(column) for column in zip(*pairs, strict=True))
    loss, other = sum(first) / sum(lengths), sum(second) / sum(lengths)
    test = paired_ratios(first, second, lengths, unit="documents")
    if _near(loss / log(2), a.value) and _near(other / log(2), b.value):
        return replace(test, least=test.least / log(2) if test.least is not None else None)
    if _near(exp(loss), a.value) and _near(exp(other), b.value):
        return replace(test, least=a.value * expm1(test.least) if test.least is not None else None)
    return None


def _scores[S](document: ResultDocument, metric: Metric, read: Callable[[object], S | None]) -> dict[object, S]:
    """What a task kept of each document for this metric, by its id; empty where one of them has it not."""
    task, name, filter_name = split_task_metric(metric.name)
    kept = mapping_at(section(document, "tasks"), "samples").get(task)
    rows = [mapping_at(row) for row in kept] if isinstance(kept, list) else []
    rows = [row for row in rows if row.get("filter", filter_name) == filter_name]
    found = {row.get("doc_id"): read(row.get(name)) for row in rows}
    known = {key: score for key, score in found.items() if score is not None}
    return known if len(known) == len(rows) else {}


def _score(value: object) -> float | None:
    return float(value) if isinstance(value, bool) else finite(value)


def _text_score(value: object) -> tuple[float, float] | None:
    """The negative log-likelihood of a text and its length, as lm-eval keeps (log-likelihood, length)."""
    found = finite_list(value)
    return (-found[0], found[1]) if len(found) == 2 and found[1] > 0 else None


def _near(value: float, other: float) -> bool:
    return isclose(value, other, rel_tol=1e-6, abs_tol=1e-9)


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
    """p05 and p95 of the repeats; of a throughput what it would be at those of the duration that it comes of."""
    scope, _, leaf = name.rpartition(".")
    holder = mapping_at(section(document, "speed"), *filter(None, scope.split(".")))
    duration = next((key for key in _DURATIONS if key in holder), leaf) if leaf in _THROUGHPUTS else leaf
    value, median = finite(holder.get(leaf)), finite(holder.get(duration))
    low, high = (finite(holder.get(f"{duration}_{quantile}")) for quantile in ("p05", "p95"))
    if value is None or not median or not low or not high:
        return None
    return (low, high) if duration == leaf else (value * median / high, value * median / low)


def _of_cost(pair: ComparedPair, a: Metric, b: Metric) -> Significance:
    if a.direction != "neither":
        return untested("it follows from the latency")
    return Significance(method="computed, without noise", beyond=a.value != b.value)


_EVIDENCE: Mapping[str, Callable[[ComparedPair, Metric, Metric], Significance]] = {
    "loss": _of_loss,
    "routing": _of_routing,
    "speed": _of_speed,
    "cost": _of_cost,
    "tasks": _of_tasks,
}

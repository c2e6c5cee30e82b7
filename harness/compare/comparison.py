"""Evaluations side by side: every metric that they share, which is better, and whether beyond the noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from harness.compare.evidence import ComparedPair
from harness.compare.likeness import left_out, refuse_unlike, shared_parts, told_backends
from harness.compare.metrics import Direction, Metric, ResultDocument, read_metrics
from harness.compare.significance import Significance
from harness.errors import ConfigError
from harness.evaluation.spec import EvaluatedPart


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One evaluation against the baseline: its value less the baseline's, and what that is worth."""

    difference: float
    significance: Significance


@dataclass(frozen=True, kw_only=True)
class ComparedMetric:
    """A metric of all evaluations, the baseline first; None where one lacks it.

    `contrasts` are those of the evaluations after the first. `better` is the place of the evaluation with the best
    value, None where no direction is better, or several are alike.
    """

    part: EvaluatedPart
    name: str
    direction: Direction
    values: tuple[float | None, ...]
    contrasts: tuple[Contrast | None, ...]
    better: int | None


@dataclass(frozen=True, kw_only=True)
class EvaluationComparison:
    """Evaluations by their `names`, the baseline first; `left_out` says which parts only some of them have.

    `remarks` are sentences on what differs and keeps nothing from being compared.
    """

    names: tuple[str, ...]
    metrics: tuple[ComparedMetric, ...]
    left_out: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def compare_evaluations(documents: Sequence[ResultDocument]) -> EvaluationComparison:
    """Compare the first with each of the others. ConfigError for fewer than two, and for unlike ones."""
    if len(documents) < 2:
        raise ConfigError(f"a comparison takes two results or more, not {len(documents)}")
    names = evaluation_names(documents)
    refuse_unlike(documents, names)
    pairs = [ComparedPair(documents[0], document) for document in documents[1:]]
    return EvaluationComparison(
        names=names,
        metrics=tuple(metric for part in shared_parts(documents) for metric in _compared(documents, pairs, part)),
        left_out=tuple(left_out(documents, names)),
        remarks=tuple(told_backends(documents, names)),
    )


def evaluation_names(documents: Sequence[ResultDocument]) -> tuple[str, ...]:
    """A short name of each: its checkpoint's folder where those differ, else its step, its file, or its place."""
    folders, files = (
        [PurePath(str(document.get(key) or "")).name for document in documents]
        for key in ("checkpoint_dir", "output_file")
    )
    steps = ["" if document.get("step") is None else f"step {document['step']}" for document in documents]
    for names in (folders, steps, files):
        if all(names) and len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"result {at}" for at in range(1, len(documents) + 1))


def _compared(
    documents: Sequence[ResultDocument], pairs: Sequence[ComparedPair], part: EvaluatedPart
) -> Iterator[ComparedMetric]:
    found = [read_metrics(document, part) for document in documents]
    for name in dict.fromkeys(name for metrics in found for name in metrics):
        metrics = [of_one.get(name) for of_one in found]
        direction = next(metric.direction for metric in metrics if metric)
        yield ComparedMetric(
            part=part,
            name=name,
            direction=direction,
            values=tuple(metric.value if metric else None for metric in metrics),
            contrasts=tuple(
                _contrast(pair, metrics[0], metric) for pair, metric in zip(pairs, metrics[1:], strict=True)
            ),
            better=_better(metrics, direction),
        )


def _contrast(pair: ComparedPair, a: Metric | None, b: Metric | None) -> Contrast | None:
    if a is None or b is None:
        return None
    return Contrast(difference=b.value - a.value, significance=pair.weigh(a, b))


def _better(metrics: Sequence[Metric | None], direction: Direction) -> int | None:
    values = [(metric.value, at) for at, metric in enumerate(metrics) if metric]
    if direction == "neither" or len(values) < 2:
        return None
    best = (max if direction == "higher" else min)(value for value, _ in values)
    places = [at for value, at in values if value == best]
    return places[0] if len(places) == 1 else None

"""Evaluations of one run's checkpoints as lines over steps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from harness.compare.metrics import Direction, Metric, ResultDocument, read_metrics, section
from harness.evaluation.spec import PARTS, EvaluatedPart

AVG_SATURATION = "aggregate.avg_saturation"


@dataclass(frozen=True, kw_only=True)
class SeriesLine:
    """A metric at each checkpoint of a series; None where it is missing there."""

    part: EvaluatedPart
    name: str
    direction: Direction
    values: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class EvaluationSeries:
    """Lines over `steps`, ascending; `tasks` are those that were asked for, without what groups among them hold."""

    steps: tuple[int | None, ...]
    lines: tuple[SeriesLine, ...]
    tasks: frozenset[str]

    def line(self, part: EvaluatedPart, name: str) -> SeriesLine | None:
        """The line of one metric, None where no checkpoint has it."""
        return next((line for line in self.lines if (line.part, line.name) == (part, name)), None)


def read_series(documents: Sequence[ResultDocument], saturation: Mapping[str, Any] | None = None) -> EvaluationSeries:
    """The lines of these results, by step; those of no step come first.

    `saturation` is what the evaluation of a series states of its routers: {"of_step": the last step, "steps":
    [{"step": an earlier one, "layers": {layer: saturation}}]}.
    """
    ordered = sorted(documents, key=lambda document: (document.get("step") is not None, document.get("step") or 0))
    steps = tuple(document.get("step") for document in ordered)
    measured = (line for part in PARTS for line in _lines(ordered, part))
    return EvaluationSeries(
        steps=steps,
        lines=(*measured, *_saturation_lines(steps, saturation or {})),
        tasks=frozenset(name for document in ordered for name in section(document, "tasks").get("tasks") or ()),
    )


def _saturation_lines(steps: Sequence[int | None], stated: Mapping[str, Any]) -> Iterator[SeriesLine]:
    """Of each layer, and the mean over the decoder's; none of the last step, which all are held against."""
    by_step: dict[int | None, dict[str, float | None]] = {at["step"]: at["layers"] for at in stated.get("steps", ())}
    means = {}
    for step, layers in by_step.items():
        known = [value for name, value in layers.items() if name.startswith("layer_") and value is not None]
        means[step] = {"aggregate": fmean(known) if known else None}
    for found in (means, by_step):
        for layer in dict.fromkeys(name for layers in found.values() for name in layers):
            values = tuple(found.get(step, {}).get(layer) for step in steps)
            name = AVG_SATURATION if layer == "aggregate" else f"{layer}.saturation"
            yield SeriesLine(part="routing", name=name, direction="neither", values=values)


def _lines(ordered: Sequence[ResultDocument], part: EvaluatedPart) -> list[SeriesLine]:
    found: list[dict[str, Metric]] = [read_metrics(document, part) for document in ordered]
    first = {name: metric for metrics in reversed(found) for name, metric in metrics.items()}
    return [
        SeriesLine(
            part=part,
            name=name,
            direction=first[name].direction,
            values=tuple(metrics[name].value if name in metrics else None for metrics in found),
        )
        for name in dict.fromkeys(name for metrics in found for name in metrics)
    ]

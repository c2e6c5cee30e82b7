"""Evaluations of one run's checkpoints as lines over steps."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.compare.metrics import Direction, Metric, mapping_at, read_metrics, section
from harness.evaluation.document import ResultDocument
from harness.evaluation.spec import PARTS, Part


@dataclass(frozen=True, kw_only=True)
class SeriesLine:
    """A metric at each checkpoint of a series; None where it is missing there."""

    part: Part
    name: str
    direction: Direction
    values: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class EvaluationSeries:
    """Lines over `steps`, ascending; `subtasks` are those that a group of tasks sums up."""

    steps: tuple[int | None, ...]
    lines: tuple[SeriesLine, ...]
    subtasks: frozenset[str]

    def line(self, part: Part, name: str) -> SeriesLine | None:
        """The line of one metric, None where no checkpoint has it."""
        return next((line for line in self.lines if (line.part, line.name) == (part, name)), None)


def read_series(documents: Sequence[ResultDocument]) -> EvaluationSeries:
    """The lines of these results, by step; those of no step come first."""
    ordered = sorted(documents, key=lambda document: (document.get("step") is not None, document.get("step") or 0))
    return EvaluationSeries(
        steps=tuple(document.get("step") for document in ordered),
        lines=tuple(line for part in PARTS for line in _lines(ordered, part)),
        subtasks=frozenset(name for document in ordered for name in _subtasks(document)),
    )


def _lines(ordered: Sequence[ResultDocument], part: Part) -> list[SeriesLine]:
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


def _subtasks(document: ResultDocument) -> list[str]:
    """What lm-eval's groups hold; a task of no group stands there with nothing in it."""
    groups = mapping_at(section(document, "tasks"), "group_subtasks")
    return [name for held in groups.values() for name in held]

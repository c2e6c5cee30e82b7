"""Runs as they are compared: each with its steps, and repeats of one configuration together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, geometric_mean, median
from typing import NamedTuple

from harness.compare.metrics import Direction, Metric, finite
from harness.runs.record import RunRecord
from harness.training.log.samples import StepSample
from harness.training.result import TrainingResult, training_result
from harness.training.summary import Summary, window


class _Figure(NamedTuple):
    """A figure of a run's summary: its part, name and better direction here, and the summary's field."""

    part: str
    name: str
    direction: Direction
    field: str


_FIGURES = (
    _Figure("speed", "step_s", "lower", "median_s"),
    _Figure("speed", "tokens_per_s_per_gpu", "higher", "tokens_per_s_per_gpu"),
    _Figure("speed", "tflops_per_gpu", "higher", "tflops_per_gpu"),
    _Figure("speed", "mfu", "higher", "mfu"),
    _Figure("memory", "peak_memory_bytes", "lower", "peak_memory_bytes"),
    _Figure("loss", "loss_last", "lower", "loss_last"),
    _Figure("loss", "validation_loss", "lower", "validation_loss"),
)
PREDICTED: Mapping[str, str] = {
    "step_s": "step_time_s",
    "tokens_per_s_per_gpu": "tokens_per_s_per_gpu",
    "tflops_per_gpu": "tflops_per_gpu",
    "peak_memory_bytes": "peak_memory_bytes",
}
"""What the cost model calls the figure that it predicts, by the figure's name here: `predicted.step_s`."""


@dataclass(frozen=True, kw_only=True)
class MeasuredRun:
    """A training run's record and the samples of its steps, as far as it came."""

    record: RunRecord
    samples: Sequence[StepSample] = ()

    @property
    def result(self) -> TrainingResult | None:
        """What it came to, None where there is nothing yet."""
        return training_result(self.record.result)

    @property
    def summary(self) -> Summary | None:
        """Its figures, None where there are none."""
        return self.result.summary if self.result else None

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """Its figures by name, then those that were predicted; those that are missing or not finite left out."""
        found: dict[str, Metric] = {}
        for it in _FIGURES:
            value = finite(getattr(self.summary, it.field)) if self.summary else None
            if value is not None:
                found[it.name] = Metric(part=it.part, name=it.name, direction=it.direction, value=value)
        predicted = self.record.predicted or {}
        for figure, name in PREDICTED.items():
            value = finite(predicted.get(name))
            if value is not None:
                shown = f"predicted.{figure}"
                found[shown] = Metric(part="predicted", name=shown, direction="neither", value=value)
        return found

    @cached_property
    def steps_s(self) -> list[float]:
        """The durations of the steps that count for speed."""
        return [sample.step_s for sample in window(self.samples)] if self.samples else []

    def series(self, name: str) -> list[float]:
        """A speed at each of these steps: rates are the run's rate times its median step time over each step's."""
        if name == "step_s" or not self.steps_s or name not in self.metrics:
            return self.steps_s
        work = self.metrics[name].value * median(self.steps_s)
        return [work / step_s for step_s in self.steps_s if step_s > 0]

    @cached_property
    def losses(self) -> dict[int, float]:
        """The loss by step; without those that are NaN or missing, the last of a step that was done again."""
        return {it.iteration: loss for it in self.samples if (loss := finite(it.loss)) is not None}


@dataclass(frozen=True, kw_only=True)
class RepeatedRun:
    """One configuration: its run, or its repeats. `name` is the run's id, or what the repeats are called."""

    name: str
    runs: tuple[MeasuredRun, ...]

    @property
    def record(self) -> RunRecord:
        """That of the first; repeats have one configuration."""
        return self.runs[0].record

    def values(self, name: str) -> list[float]:
        """A figure of each run that has it."""
        return [run.metrics[name].value for run in self.runs if name in run.metrics]

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """The figures by name, each the geometric mean of the runs that have it."""
        first = {name: metric for run in reversed(self.runs) for name, metric in run.metrics.items()}
        order = dict.fromkeys(name for run in self.runs for name in run.metrics)
        return {
            name: Metric(
                part=first[name].part,
                name=name,
                direction=first[name].direction,
                value=_mean(self.values(name)),
            )
            for name in order
        }

    @cached_property
    def losses(self) -> dict[int, float]:
        """The mean loss of the runs by step."""
        steps = dict.fromkeys(step for run in self.runs for step in run.losses)
        return {step: fmean(run.losses[step] for run in self.runs if step in run.losses) for step in steps}


def _mean(values: Sequence[float]) -> float:
    """The geometric mean, on which repeats are compared; of one value, that value, and of what is not > 0 the mean."""
    if len(values) == 1:
        return values[0]
    return geometric_mean(values) if min(values) > 0 else fmean(values)

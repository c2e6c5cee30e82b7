"""Training runs side by side: their configurations, speed, memory and losses, and whether they differ beyond noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean

from harness.compare.comparison import ComparedMetric, Comparison, compared
from harness.compare.configuration_differences import configuration_differences
from harness.compare.likeness import require_alike, unlikeness
from harness.compare.measured_run import MeasuredRun, RepeatedRun
from harness.compare.metrics import Metric
from harness.compare.run_likeness import run_conditions, run_document
from harness.compare.significance import Significance, by_repeats, untested
from harness.compare.step_blocks import compare_steps
from harness.errors import ConfigError
from harness.runs.record import UNFINISHED

DISTANCE = "loss_distance"
"""The mean distance of two loss curves over the steps that both have."""


@dataclass(frozen=True, kw_only=True)
class _RunPair:
    """Two runs, the baseline first; of repeats these are compared, of single runs their steps."""

    first: RepeatedRun
    second: RepeatedRun

    def weigh(self, a: Metric, b: Metric) -> Significance:
        """Whether they differ in a figure beyond the noise."""
        if a.part == "predicted":
            return Significance(method="predicted, without noise", beyond=a.value != b.value)
        values, others = self.first.values(a.name), self.second.values(b.name)
        if len(values) + len(others) > 2:
            return by_repeats(values, others) if min(*values, *others) > 0 else untested("not all are above zero")
        if a.part != "speed":
            return untested("one value a run; REPEATS=n on launch and sweep tells its noise")
        series = [next(it for it in of.runs if a.name in it.metrics).series(a.name) for of in (self.first, self.second)]
        return compare_steps(*series).significance_of(a.value)


def compare_runs(runs: Sequence[RepeatedRun], *, force: bool = False) -> Comparison:
    """Compare the first with each of the others. ConfigError for fewer than two, and unless forced for unlike ones."""
    if len(runs) < 2:
        raise ConfigError(f"a comparison takes two runs or more, not {len(runs)}")
    names = tuple(run.name for run in runs)
    documents = [run_document(run.runs[0]) for run in runs]
    unlike = unlikeness(documents, names, run_conditions(documents))
    require_alike(unlike, "compare runs that are alike", force=force)
    pairs = [_RunPair(first=runs[0], second=run) for run in runs[1:]]
    return Comparison(
        names=names,
        metrics=(*compared([run.metrics for run in runs], pairs), *_distances(runs)),
        configuration=configuration_differences([run.record for run in runs]),
        unlike=unlike,
        notices=(*chain.from_iterable(_notices(run) for run in runs), *_of_windows(runs), *_of_losses(runs)),
    )


def _distances(runs: Sequence[RepeatedRun]) -> Iterator[ComparedMetric]:
    found = [_distance(runs[0], run) for run in runs[1:]]
    if any(value is not None for value in found):
        yield ComparedMetric(
            part="loss",
            name=DISTANCE,
            direction="neither",
            values=(None, *found),
            contrasts=(None,) * len(found),
            better=None,
        )


def _distance(first: RepeatedRun, second: RepeatedRun) -> float | None:
    shared = first.losses.keys() & second.losses.keys()
    return fmean(abs(second.losses[step] - first.losses[step]) for step in shared) if shared else None


def _notices(run: RepeatedRun) -> Iterator[str]:
    for it in run.runs:
        record, steps = it.record, len(it.samples)
        if record.status in UNFINISHED:
            yield f"{record.run_id} is {record.status}: what its {steps:,} steps so far tell"
        elif record.status != "completed":
            yield f"{record.run_id} {record.status}, after {steps:,} steps"
        if missing := _without_loss(it):
            yield f"{record.run_id}: the loss of {missing:,} of its {steps:,} steps is NaN or missing, and left out"


def _without_loss(run: MeasuredRun) -> int:
    trained = {it.iteration for it in run.samples if not it.skipped}
    return len(trained - run.losses.keys())


def _of_windows(runs: Sequence[RepeatedRun]) -> Iterator[str]:
    windows = [_window(run.runs[0]) for run in runs]
    if None not in windows and len(set(windows)) > 1:
        shown = (
            f"{first:,} to {last:,} of {run.name}" for (first, last), run in zip(_known(windows), runs, strict=True)
        )
        yield f"speeds are of other steps: {', '.join(shown)}"


def _window(run: MeasuredRun) -> tuple[int, int] | None:
    summary = run.summary
    if summary is None or summary.first_iteration is None or summary.last_iteration is None:
        return None
    return summary.first_iteration, summary.last_iteration


def _known(windows: Sequence[tuple[int, int] | None]) -> list[tuple[int, int]]:
    return [it for it in windows if it is not None]


def _of_losses(runs: Sequence[RepeatedRun]) -> Iterator[str]:
    for run in runs[1:]:
        if shared := runs[0].losses.keys() & run.losses.keys():
            yield f"loss curves of {runs[0].name} and {run.name}: over the {len(shared):,} steps that both have"

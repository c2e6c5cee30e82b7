"""How throughput grows with GPUs: strong scaling at one global batch, weak at one global batch a GPU."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from typing import Literal

from harness.compare.baseline_run import refuse_unmeasured
from harness.compare.gate_conditions import step_conditions, unlike
from harness.errors import ConfigError
from harness.runs.record import RunRecord
from harness.training.effective import Setup
from harness.training.result import TrainingResult, training_result

type ScalingKind = Literal["strong", "weak"]

_FREE = ("GPUs", "global batch size")


@dataclass(frozen=True, kw_only=True)
class ScalingPoint:
    """One job on so many GPUs, run once or more: the medians of the runs' figures, None where not known."""

    gpus: int
    global_batch: int
    micro_batch: int | None
    setup: Setup
    run_ids: tuple[str, ...]
    step_s: float
    tokens_per_s: float
    predicted_step_s: float | None

    @property
    def mapping(self) -> str:
        """`EP4 DP2`: the sizes above one."""
        names = ("tp", "cp", "pp", "vpp", "ep", "etp", "dp")
        sizes = ((name, getattr(self.setup, name)) for name in names)
        return " ".join(f"{name.upper()}{size}" for name, size in sizes if size and size > 1) or "one GPU"


@dataclass(frozen=True, kw_only=True)
class ScaledPoint:
    """A point beside the smallest: how many times its throughput, and which share of the ideal, measured and predicted.

    Efficiency is the throughput a GPU over that of the smallest; in strong scaling that is t0·n0 / (t·n), in weak
    scaling t0 / t.
    """

    point: ScalingPoint
    speedup: float
    efficiency: float
    predicted_efficiency: float | None


@dataclass(frozen=True, kw_only=True)
class ScalingSeries:
    """Points of one kind of scaling, fewest GPUs first; `batch` is the global batch, in weak scaling that of a GPU."""

    kind: ScalingKind
    batch: Fraction
    points: tuple[ScaledPoint, ...]


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """All series that the runs make. `left_out` says of each run in none of them why."""

    model: str
    series: tuple[ScalingSeries, ...]
    left_out: tuple[str, ...]


def scaling_of(records: Sequence[RunRecord]) -> Scaling:
    """Find the series. ConfigError with every reason why runs make none: unlike, unmeasured, or of one size."""
    problems = [problem for record in records for problem in _problems(record)]
    conditions = [(record.run_id, _conditions(record)) for record in records]
    problems += unlike(conditions[0][1], conditions[1:], conditions[0][0])
    if problems:
        raise ConfigError(problems)
    points = _points(records)
    fastest, slower = _fastest(points)
    series = [*_series("strong", fastest), *_series("weak", fastest)]
    if not series:
        raise ConfigError(_no_series(points))
    used = {id(scaled.point) for one in series for scaled in one.points}
    left = [
        f"{_named(it)}: no other size has its global batch, or its global batch a GPU"
        for it in fastest
        if id(it) not in used
    ]
    left += [f"{_named(it)}: another mapping of as many GPUs with this global batch is faster" for it in slower]
    return Scaling(model=records[0].model or "", series=tuple(series), left_out=tuple(left))


def _problems(record: RunRecord) -> Iterator[str]:
    try:
        refuse_unmeasured(record)
    except ConfigError as error:
        yield from error.problems
        return
    if record.status != "completed":
        yield f"{record.run_id}: this run {'failed' if record.status == 'failed' else 'was cancelled'}"
        return
    result = training_result(record.result)
    if result is None or result.summary is None or not result.summary.median_s or not result.summary.tokens_per_s:
        yield f"{record.run_id}: no step of this run counts for speed; train more steps"
    elif not result.world_size or not _integer(record, "--global-batch-size"):
        yield f"{record.run_id}: its GPUs or its global batch are not known"


def _conditions(record: RunRecord) -> dict[str, str]:
    return {name: value for name, value in step_conditions(record).items() if name not in _FREE}


def _points(records: Sequence[RunRecord]) -> list[ScalingPoint]:
    """Runs of one job are one point."""
    jobs: dict[object, list[RunRecord]] = defaultdict(list)
    for record in records:
        result = _result(record)
        key = (result.world_size, result.asked, *(_integer(record, f"--{it}-batch-size") for it in ("global", "micro")))
        jobs[key].append(record)
    return [_point(of_one) for of_one in jobs.values()]


def _point(records: Sequence[RunRecord]) -> ScalingPoint:
    results = [_result(record) for record in records]
    summaries = [result.summary for result in results if result.summary]
    predicted = [step_s for record in records if (step_s := (record.predicted or {}).get("step_time_s"))]
    return ScalingPoint(
        gpus=results[0].world_size or 0,
        global_batch=_integer(records[0], "--global-batch-size") or 0,
        micro_batch=_integer(records[0], "--micro-batch-size"),
        setup=results[0].asked,
        run_ids=tuple(record.run_id for record in records),
        step_s=median(it.median_s for it in summaries if it.median_s),
        tokens_per_s=median(it.tokens_per_s for it in summaries if it.tokens_per_s),
        predicted_step_s=median(predicted) if predicted else None,
    )


def _fastest(points: Sequence[ScalingPoint]) -> tuple[list[ScalingPoint], list[ScalingPoint]]:
    """Of each number of GPUs and global batch the fastest mapping, fewest GPUs first; and the others."""
    best: dict[tuple[int, int], ScalingPoint] = {}
    for point in sorted(points, key=lambda it: it.step_s):
        best.setdefault((point.gpus, point.global_batch), point)
    fastest = sorted(best.values(), key=lambda it: (it.gpus, it.global_batch))
    return fastest, [point for point in points if not any(point is it for it in fastest)]


def _series(kind: ScalingKind, points: Sequence[ScalingPoint]) -> Iterator[ScalingSeries]:
    batch_of: Callable[[ScalingPoint], Fraction] = {
        "strong": lambda it: Fraction(it.global_batch),
        "weak": lambda it: Fraction(it.global_batch, it.gpus),
    }[kind]
    by_batch: dict[Fraction, list[ScalingPoint]] = defaultdict(list)
    for point in points:
        by_batch[batch_of(point)].append(point)
    for batch, members in sorted(by_batch.items()):
        if len(members) > 1:
            yield ScalingSeries(kind=kind, batch=batch, points=tuple(_scaled(it, members[0]) for it in members))


def _scaled(point: ScalingPoint, smallest: ScalingPoint) -> ScaledPoint:
    speedup = point.tokens_per_s / smallest.tokens_per_s
    own, its = point.predicted_step_s, smallest.predicted_step_s
    predicted = None
    if own and its:
        predicted = (point.global_batch / own / point.gpus) / (smallest.global_batch / its / smallest.gpus)
    return ScaledPoint(
        point=point,
        speedup=speedup,
        efficiency=speedup * smallest.gpus / point.gpus,
        predicted_efficiency=predicted,
    )


def _no_series(points: Sequence[ScalingPoint]) -> str:
    seen = ", ".join(f"{it.gpus} GPUs with a global batch of {it.global_batch}" for it in points)
    return (
        f"these runs make no scaling: {seen}; name runs on two numbers of GPUs or more, of one global batch (strong"
        " scaling) or of one global batch a GPU (weak scaling)"
    )


def _named(point: ScalingPoint) -> str:
    return " and ".join(point.run_ids)


def _result(record: RunRecord) -> TrainingResult:
    result = training_result(record.result)
    if result is None:
        raise ConfigError(f"{record.run_id}: this is no training run")
    return result


def _integer(record: RunRecord, flag: str) -> int | None:
    text = record.resolved.megatron_args.text(flag)
    return int(text) if text.isdecimal() else None

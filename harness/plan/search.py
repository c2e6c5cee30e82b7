"""The best mappings of a model onto so many GPUs: exhaustive within the bounds of its space.

Best first: every way to run every mapping waits under a time that it cannot beat (harness/cost/step_bound.py). The one
with the least is taken, its memory and then its step time predicted; once the best are faster than whatever waits, no
other can be among them.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from harness.cost.hardware import Gpu
from harness.cost.memory import StageMemory, peak_stage, stage_memory
from harness.cost.step_time import StepTime, step_time
from harness.cost.training import Recompute, Training
from harness.plan.bounds import Bounds
from harness.plan.candidate import Candidate
from harness.plan.space.execution_options import ExecutionOption, added_flags, with_flags
from harness.plan.space.point import Grid, SpacePoint, point_flags, point_settings
from harness.plan.space.space import Space
from harness.plan.verdict import violations_of


@dataclass(kw_only=True)
class Counts:
    """How many ways to run there are, and what became of them."""

    grids: int = 0
    enumerated: int = 0
    too_large: int = 0
    no_faster: int = 0
    refused: int = 0
    timed: int = 0


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The best way to run each of the best grids, the fastest first; and all that were predicted on the way."""

    best: tuple[Candidate, ...]
    timed: tuple[Candidate, ...]
    counts: Counts


@dataclass(order=True, frozen=True)
class _Waiting:
    """Ways to run a mapping that take `least_s` or longer; `recompute` None stands for all sets together."""

    least_s: float
    serial: int
    point: SpacePoint = field(compare=False)
    option: ExecutionOption = field(compare=False)
    recompute: Recompute | None = field(compare=False)


def search(space: Space, *, keep: int = 10, until_s: float = inf, all_timed: bool = False) -> SearchResult:
    """The `keep` best grids, each with its best virtual stages, micro-batch, dispatcher and recomputation.

    `until_s` ends the search at a step time beyond which nobody asks. With `all_timed` the result holds every way that
    was timed and fits, else those that were faster than the best of their grid before them.
    """
    return _Search(space, keep, until_s, all_timed=all_timed).run()


class _Search:
    """What a search knows so far."""

    def __init__(self, space: Space, keep: int, until_s: float, *, all_timed: bool) -> None:
        self.all_timed = all_timed
        self.space, self.keep, self.until_s = space, keep, until_s
        self.counts = Counts()
        self.best: dict[Grid, Candidate] = {}
        self.best_s: dict[Grid, float] = {}
        self.enough_s = until_s
        self.timed: list[Candidate] = []
        self.memory_bound: set[Grid] = set()
        self.full_from: dict[tuple[Grid, int, int], int] = {}
        self.bounds = Bounds(space)

    def run(self) -> SearchResult:
        """Until nothing that waits can be among the best."""
        waiting = list(self._all())
        heapq.heapify(waiting)
        serial = len(waiting)
        while waiting and waiting[0].least_s < self.enough_s:
            one = heapq.heappop(waiting)
            if self.best_s.get(one.point.grid, inf) <= one.least_s:
                self.counts.no_faster += len(one.option.recomputes) if one.recompute is None else 1
            elif one.recompute is None:
                if not self._has_room(one.point, one.option):
                    self.counts.too_large += len(one.option.recomputes)
                    self.memory_bound.add(one.point.grid)
                    continue
                for recompute in one.option.recomputes:
                    least_s = self.bounds.step_s(one.point, one.option, recompute)
                    serial += 1
                    heapq.heappush(waiting, _Waiting(least_s, serial, one.point, one.option, recompute))
            else:
                self._try(one.point, one.option, one.recompute)
        self.counts.no_faster += sum(len(one.option.recomputes) if one.recompute is None else 1 for one in waiting)
        ranked = sorted(self.best.values(), key=lambda candidate: candidate.step_time.total_s)
        return SearchResult(best=tuple(ranked[: self.keep]), timed=tuple(self.timed), counts=self.counts)

    def _all(self) -> Iterator[_Waiting]:
        """Everything there is, but for grids whose parameters alone are too large."""
        serial = 0
        for grid in self.space.grids():
            self.counts.grids += 1
            fits = self.bounds.parameter_bytes(grid) <= self.space.gpu.hbm_bytes
            for point in self.space.points(grid):
                for option in self.space.options_of(point):
                    self.counts.enumerated += len(option.recomputes)
                    if not fits:
                        self.counts.too_large += len(option.recomputes)
                        continue
                    serial += 1
                    yield _Waiting(self.bounds.step_s(point, option, Recompute()), serial, point, option, None)

    def _has_room(self, point: SpacePoint, option: ExecutionOption) -> bool:
        """Whether it fits with most recomputed; what does not with one micro-batch does not with a larger one."""
        key = (point.grid, point.split.vpp, id(option))
        if point.micro >= self.full_from.get(key, point.micro + 1):
            return False
        if _fitting(self.space.job(point, option, option.recomputes[-1]), self.space.gpu):
            return True
        self.full_from[key] = point.micro
        return False

    def _try(self, point: SpacePoint, option: ExecutionOption, recompute: Recompute) -> None:
        """Its time first: memory matters only to what is faster than the best of its grid."""
        job = self.space.job(point, option, recompute)
        taken = step_time(job, self.space.gpu)
        self.counts.timed += 1
        slower = taken.total_s >= min(self.best_s.get(point.grid, inf), self.enough_s)
        if slower and not self.all_timed:
            return
        memory = _fitting(job, self.space.gpu)
        if memory is None:
            self.counts.too_large += 1
            self.counts.timed -= 1
            self.memory_bound |= set() if slower else {point.grid}
            return
        memory_bound = point.grid in self.memory_bound
        candidate = predicted_candidate(self.space, point, option, recompute, memory, taken, memory_bound=memory_bound)
        self.timed.append(candidate)
        if not slower and self._may_run(point, option, recompute):
            self._keep(point.grid, candidate, taken.total_s)

    def _keep(self, grid: Grid, candidate: Candidate, taken_s: float) -> None:
        """The best of its grid; and the time that a newcomer must beat, once there are enough grids."""
        self.best[grid], self.best_s[grid] = candidate, taken_s
        if len(self.best) >= self.keep:
            self.enough_s = min(self.until_s, sorted(self.best_s.values())[self.keep - 1])

    def _may_run(self, point: SpacePoint, option: ExecutionOption, recompute: Recompute) -> bool:
        """Whether Megatron takes the very flags that it would be launched with."""
        taken = may_run(self.space, point, option, recompute)
        self.counts.refused += not taken
        return taken


def may_run(space: Space, point: SpacePoint, option: ExecutionOption, recompute: Recompute) -> bool:
    """Whether Megatron takes the flags of a way to run."""
    return not violations_of(with_flags(option.resolved, point_flags(point, option, recompute)), space.gpu)


def _fitting(job: Training, gpu: Gpu) -> tuple[StageMemory, ...] | None:
    """The memory of all pipeline ranks, or None if the fullest does not fit."""
    memory = stage_memory(job)
    return memory if peak_stage(memory).total_bytes <= gpu.hbm_bytes else None


def leanest(space: Space) -> Candidate | None:
    """The way to run that needs least memory, whether it fits or not; None where nothing splits the batch."""
    found: Candidate | None = None
    for grid in space.grids():
        for point in list(space.points(grid)):
            for option in space.options_of(point):
                recompute = option.recomputes[-1]
                job = space.job(point, option, recompute)
                memory = stage_memory(job)
                if found is None or peak_stage(memory).total_bytes < found.peak.total_bytes:
                    found = predicted_candidate(space, point, option, recompute, memory, step_time(job, space.gpu))
    return found


def predicted_candidate(
    space: Space,
    point: SpacePoint,
    option: ExecutionOption,
    recompute: Recompute,
    memory: tuple[StageMemory, ...],
    taken: StepTime,
    *,
    memory_bound: bool = False,
) -> Candidate:
    """A way to run with its predicted memory and step time."""
    return Candidate(
        job=space.job(point, option, recompute),
        gpu=space.gpu,
        layout=point.split.layout,
        memory=memory,
        step_time=taken,
        memory_bound=memory_bound,
        settings=point_settings(point, option),
        flags=added_flags(option.resolved, recompute),
    )

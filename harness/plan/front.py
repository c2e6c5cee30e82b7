"""The front of a space: the ways to run that nothing beats in memory and in step time at once.

Ways wait under a time that they cannot beat, the least first, as in harness/plan/search.py. One can only be on the
front with less memory than every way found that takes no longer than that time: what its parameters alone need, or the
same way with most recomputed, rules most of them out without timing them.
"""

import heapq
from collections.abc import Iterator
from math import inf

from harness.cost.memory import StageMemory, peak_stage, stage_memory
from harness.cost.step_time import step_time
from harness.cost.training import Recompute
from harness.plan.bounds import Bounds
from harness.plan.candidate import Candidate
from harness.plan.search import may_run, predicted_candidate
from harness.plan.space.execution_options import ExecutionOption
from harness.plan.space.point import SpacePoint
from harness.plan.space.space import Space

type _Way = tuple[float, int, SpacePoint, ExecutionOption, Recompute | None]
"""Least time, a number that no other has, and what is run; `None` stands for all recomputations together."""


def memory_front(space: Space) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
    """The front, from the least memory to the least time, and all ways that were timed for it."""
    return _FrontSearch(space).run()


class _FrontSearch:
    """What is known so far: `tried` are all that were timed and fit, `front` those among them that nothing beats."""

    def __init__(self, space: Space) -> None:
        self.space, self.bounds = space, Bounds(space)
        self.tried: list[Candidate] = []
        self.front: list[Candidate] = []

    def run(self) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
        """Until nothing waits."""
        waiting = list(self._all())
        heapq.heapify(waiting)
        serial = len(waiting)
        while waiting:
            least_s, _, point, option, recompute = heapq.heappop(waiting)
            if self.bounds.parameter_bytes(point.grid) >= self._least_bytes(least_s):
                continue
            if recompute is not None:
                self._try(point, option, recompute, least_s)
                continue
            leanest = peak_stage(self._memory(point, option, option.recomputes[-1])).total_bytes
            if leanest > self.space.gpu.hbm_bytes or leanest >= self._least_bytes(least_s):
                continue
            for one in option.recomputes:
                serial += 1
                heapq.heappush(waiting, (self.bounds.step_s(point, option, one), serial, point, option, one))
        return tuple(sorted(self.front, key=lambda it: it.peak.total_bytes)), tuple(self.tried)

    def _all(self) -> Iterator[_Way]:
        serial = 0
        for grid in self.space.grids():
            if self.bounds.parameter_bytes(grid) > self.space.gpu.hbm_bytes:
                continue
            for point in self.space.points(grid):
                for option in self.space.options_of(point):
                    serial += 1
                    yield (self.bounds.step_s(point, option, Recompute()), serial, point, option, None)

    def _least_bytes(self, within_s: float) -> float:
        """The least memory of the front's ways that take no longer."""
        return min((it.peak.total_bytes for it in self.front if it.step_time.total_s <= within_s), default=inf)

    def _memory(self, point: SpacePoint, option: ExecutionOption, recompute: Recompute) -> tuple[StageMemory, ...]:
        return stage_memory(self.space.job(point, option, recompute))

    def _try(self, point: SpacePoint, option: ExecutionOption, recompute: Recompute, least_s: float) -> None:
        memory = self._memory(point, option, recompute)
        size = peak_stage(memory).total_bytes
        if size > self.space.gpu.hbm_bytes or size >= self._least_bytes(least_s):
            return
        taken = step_time(self.space.job(point, option, recompute), self.space.gpu)
        candidate = predicted_candidate(self.space, point, option, recompute, memory, taken)
        self.tried.append(candidate)
        if size < self._least_bytes(taken.total_s) and may_run(self.space, point, option, recompute):
            kept = (it for it in self.front if it.peak.total_bytes < size or it.step_time.total_s < taken.total_s)
            self.front = [*kept, candidate]

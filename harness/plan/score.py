"""How well predictions hold: every usable published row, predicted beside measured.

Medians and percentiles are of the absolute relative error; a bias is the median of the signed one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from harness.cost.constants import FITTED, Constants
from harness.cost.memory import stage_memory
from harness.errors import HarnessError
from harness.plan.published.measured import measured_bytes
from harness.plan.published.predictable import PredictableRow, predictable_row, predicted_tflops
from harness.plan.published.rows import PublishedRow
from harness.units import GIGA

AIM_MEDIAN, AIM_P90, AIM_MEMORY = 0.08, 0.20, 0.10
"""What the project aims at: median and 90th percentile of TFLOP/s/GPU, median of memory."""


@dataclass(frozen=True, kw_only=True)
class ScoredRow:
    """A row's figures, predicted and measured; `left_out` says why there are none. Memory in GB (10**9 bytes)."""

    row: PublishedRow
    predicted_tflops: float | None = None
    measured_tflops: float | None = None
    predicted_mem_gb: float | None = None
    measured_mem_gb: float | None = None
    left_out: str | None = None
    assumed: tuple[str, ...] = ()

    @property
    def tflops_error(self) -> float | None:
        """Predicted over measured, minus one."""
        return _error(self.predicted_tflops, self.measured_tflops)

    @property
    def memory_error(self) -> float | None:
        """Predicted over measured, minus one."""
        return _error(self.predicted_mem_gb, self.measured_mem_gb)


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Errors of a group of rows."""

    rows: int
    median: float
    p90: float
    bias: float


def score(rows: Iterable[PublishedRow], constants: Constants = FITTED) -> list[ScoredRow]:
    """Every row with its prediction, or with the reason why it has none."""
    return [_scored(row, constants) for row in rows]


def measured_rows(rows: Iterable[PublishedRow]) -> list[PredictableRow]:
    """The usable rows with a measured speed."""
    found = []
    for row in rows:
        try:
            case = predictable_row(row)
        except HarnessError:
            continue
        if case.step_s is not None:
            found.append(case)
    return found


def accuracy(errors: Sequence[float]) -> Accuracy:
    """Median, 90th percentile and bias of relative errors, of which there is one at least."""
    sizes = sorted(map(abs, errors))
    return Accuracy(rows=len(sizes), median=median(sizes), p90=sizes[int(0.9 * (len(sizes) - 1))], bias=median(errors))


def _scored(row: PublishedRow, constants: Constants) -> ScoredRow:
    try:
        case = predictable_row(row)
        tflops = predicted_tflops(case.job, case.gpu, constants)
        memory_bytes = _allocated_bytes(case)
    except HarnessError as error:
        return ScoredRow(row=row, left_out=str(error))
    measured_memory = measured_bytes(case.published)
    scored = ScoredRow(
        row=row,
        predicted_tflops=tflops,
        measured_tflops=case.measured_tflops,
        predicted_mem_gb=memory_bytes / GIGA,
        measured_mem_gb=None if measured_memory is None else measured_memory / GIGA,
        assumed=case.published.assumed,
    )
    if scored.measured_tflops is None and scored.measured_mem_gb is None:
        return replace(scored, left_out="nothing that was measured can be compared")
    return scored


def _allocated_bytes(case: PredictableRow) -> int:
    """What torch allocates at its peak: on the last pipeline rank for functional tests, on the first for all others."""
    stages = stage_memory(case.job)
    return stages[-1 if case.published.facts.ci else 0].allocated_bytes


def _error(predicted: float | None, measured: float | None) -> float | None:
    return None if predicted is None or measured is None else predicted / measured - 1

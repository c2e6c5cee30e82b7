"""Fit the constants of the step-time model to measured jobs: robust least squares with priors.

A residual is the logarithm of predicted over measured time in units of `NOISE`; equal runs of the published results
differ by about as much. A constant pulls back to its prior in units of its spread, so that a constant which no result
speaks of stays where it was. Source of the method: scipy.optimize.least_squares, loss soft_l1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from math import exp, log
from typing import Any, cast

from harness.cost.constants import FITTED, Constants
from harness.cost.hardware import CPU_RANK, Gpu
from harness.cost.step_time import step_time
from harness.cost.training import Training
from harness.errors import HarnessError
from harness.plan.calibration import Calibration

NOISE = 0.06
"""Relative error that a perfect model would still make, as a standard deviation."""
TOLERANCE = 1e-3
EVALUATIONS = 30
"""Where the search for constants stops: no gain worth a thousandth, or so many Jacobians."""

LOOSENESS, CPU_LOOSENESS = 2.0, 10.0
"""Spreads of the constants on a machine of one's own, beside those over all published machines. Nothing is published
of CPU ranks, so that theirs may be far from those of any GPU."""

SAME = 1e-3
"""Relative change below which a constant counts as unmoved."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One job and the seconds that its step took."""

    job: Training
    gpu: Gpu
    step_s: float


def fit(
    measured: Sequence[Measured], start: Constants, names: Sequence[str] | None = None, *, looseness: float = 1.0
) -> Constants:
    """The constants (all of them, or those named) that explain the measured jobs best, pulled towards `start`.

    `looseness` multiplies every spread: how far this machine may be from those that the spreads speak of.
    """
    least_squares = _solver()
    chosen = [item for item in fields(Constants) if names is None or item.name in names]
    spreads = [item.metadata["spread"] * looseness for item in chosen]

    def constants(logs: Sequence[float]) -> Constants:
        values = {
            item.name: getattr(start, item.name) * exp(float(value)) for item, value in zip(chosen, logs, strict=True)
        }
        return start.with_values(values)

    def residuals(logs: Sequence[float]) -> list[float]:
        tried = constants(logs)
        misfit = [log(step_time(one.job, one.gpu, tried).total_s / one.step_s) / NOISE for one in measured]
        return misfit + [float(value) / spread for value, spread in zip(logs, spreads, strict=True)]

    begin = [0.0] * len(chosen)
    found = least_squares(residuals, begin, loss="soft_l1", x_scale=spreads, ftol=TOLERANCE, max_nfev=EVALUATIONS)
    return constants(found.x)


def calibrate(measured: Sequence[Measured], runs: Sequence[str]) -> Calibration:
    """The constants that explain runs of one machine best, starting from what published results say."""
    machine = measured[0].gpu.name
    found = fit(measured, FITTED, looseness=CPU_LOOSENESS if machine == CPU_RANK.name else LOOSENESS)
    names = [item.name for item in fields(Constants)]
    moved = {
        name: getattr(found, name) for name in names if abs(getattr(found, name) / getattr(FITTED, name) - 1) > SAME
    }
    return Calibration(machine=machine, constants=moved, runs=tuple(runs))


def _solver() -> Callable[..., Any]:
    try:
        from scipy.optimize import least_squares
    except ImportError:
        raise HarnessError("fitting constants needs scipy; install moe-harness[plan]") from None
    return cast(Callable[..., Any], least_squares)

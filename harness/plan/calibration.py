"""Constants of one machine, refitted to runs that were measured on it."""

from collections.abc import Sequence
from dataclasses import fields

from harness.cost.calibration import Calibration
from harness.cost.constants import FITTED, Constants
from harness.cost.hardware import CPU_RANK
from harness.plan.fit import Measured, fit

LOOSENESS, CPU_LOOSENESS = 2.0, 10.0
"""Spreads of the constants on a machine of one's own, beside those over all published machines. Nothing is published
of CPU ranks, so that theirs may be far from those of any GPU."""

SAME = 1e-3
"""Relative change below which a constant counts as unmoved."""


def calibrate(measured: Sequence[Measured], runs: Sequence[str]) -> Calibration:
    """The constants that explain runs of one machine best, starting from what published results say."""
    machine = measured[0].gpu.name
    found = fit(measured, FITTED, looseness=CPU_LOOSENESS if machine == CPU_RANK.name else LOOSENESS)
    names = [item.name for item in fields(Constants)]
    moved = {
        name: getattr(found, name) for name in names if abs(getattr(found, name) / getattr(FITTED, name) - 1) > SAME
    }
    return Calibration(machine=machine, constants=moved, runs=tuple(runs))

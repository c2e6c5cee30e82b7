"""The constants of one machine that runs on it have moved."""

from collections.abc import Mapping
from typing import NamedTuple

from harness.cost.constants import FITTED, Constants


class Calibration(NamedTuple):
    """What `runs` of `machine` (a GPU's name, or CPU) say of those constants that they moved."""

    machine: str
    constants: Mapping[str, float]
    runs: tuple[str, ...]

    def applied(self) -> Constants:
        """All constants on that machine."""
        return FITTED.with_values(self.constants)

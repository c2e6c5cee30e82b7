"""Seconds by what they are spent on."""

from typing import NamedTuple


class Parts(NamedTuple):
    """Time of some work on one GPU. The host's launches run beside the rest, so `host` is no part of `device_s`."""

    gemm: float = 0.0
    experts: float = 0.0
    attention: float = 0.0
    elementwise: float = 0.0
    tp: float = 0.0
    cp: float = 0.0
    ep: float = 0.0
    host: float = 0.0

    def plus(self, other: "Parts") -> "Parts":
        """Both, one after the other."""
        return Parts(*[mine + its for mine, its in zip(self, other, strict=True)])

    def times(self, factor: float) -> "Parts":
        """The same work `factor` times."""
        return Parts(*[value * factor for value in self])

    @property
    def compute_s(self) -> float:
        """Kernels that compute."""
        return self.gemm + self.experts + self.attention + self.elementwise

    @property
    def device_s(self) -> float:
        """All that the device does, if nothing overlaps."""
        return self.compute_s + self.tp + self.cp + self.ep


NOTHING = Parts()

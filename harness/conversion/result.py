"""What a conversion came to, as its record keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.checkpoint.conversion_facts import ConversionFacts
from harness.units import show_bytes, show_seconds

_MIB = 1024**2


@dataclass(frozen=True, kw_only=True)
class ConversionStep:
    """How far a conversion is: bytes of the output that are written, `done_before` of them by an earlier start."""

    total_bytes: int
    done_bytes: int
    done_before_bytes: int
    elapsed_s: float

    @property
    def number(self) -> int:
        """MiB that are written."""
        return self.done_bytes // _MIB

    @property
    def total(self) -> int:
        """MiB of the whole output."""
        return self.total_bytes // _MIB

    @property
    def unit(self) -> str:
        """What is counted."""
        return "MiB"

    @property
    def bytes_per_s(self) -> float | None:
        """The rate of this start; None before anything is written."""
        written = self.done_bytes - self.done_before_bytes
        return written / self.elapsed_s if written and self.elapsed_s else None

    @property
    def text(self) -> str:
        """`25%  512.00 MiB/s  6.00 s left`."""
        share = f"{self.done_bytes / max(self.total_bytes, 1):.0%}"
        if not (rate := self.bytes_per_s):
            return share
        left_s = (self.total_bytes - self.done_bytes) / rate
        return f"{share}  {show_bytes(rate)}/s" + (f"  {show_seconds(left_s)} left" if left_s else "")


@dataclass(frozen=True, kw_only=True)
class ConversionResult:
    """`facts` and `target` are known once the source was read; `done_bytes` and `bytes_per_s` as far as it has come.

    `elapsed_s` is there once the target is whole: the seconds that the last start wrote.
    """

    facts: ConversionFacts | None = None
    target: str | None = None
    total_bytes: int | None = None
    done_bytes: int | None = None
    bytes_per_s: float | None = None
    elapsed_s: float | None = None

    @property
    def model(self) -> str | None:
        """The family that the source is of."""
        return self.facts.family if self.facts else None

    @property
    def predicted(self) -> Mapping[str, float] | None:
        """Nothing is predicted of conversions."""
        return None

"""A kind of run that packs boxes: what any kind has, and nothing of training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.config.provenance import Resolved
from harness.report.text.kind_view import KindView
from harness.runs.kind import Prediction, RunKind


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A box that was packed, one of three."""

    number: int
    kilograms: float
    total: int = 3
    unit: str = "box"

    @property
    def text(self) -> str:
        return f"{self.kilograms} kg"


@dataclass(frozen=True, kw_only=True)
class Packing:
    """All boxes."""

    kilograms: float = 0.0
    predicted: Prediction = None
    model: str | None = None


class PackingReader:
    """Reads `packed 1.5` lines."""

    versions: Mapping[str, str] | None = None
    hosts: tuple[str, ...] | None = ("warehouse",)

    def __init__(self, resolved: Resolved, result: Packing | None) -> None:
        self._known = result or Packing()
        self.samples: tuple[Packed, ...] = ()

    def feed(self, line: str) -> Packed | None:
        if not line.startswith("packed "):
            return None
        box = Packed(number=len(self.samples) + 1, kilograms=float(line.split()[1]))
        self.samples = (*self.samples, box)
        return box

    def result(self) -> Packing:
        return replace(self._known, kilograms=sum(box.kilograms for box in self.samples))


PACKING = RunKind(
    name="packing",
    result=Packing,
    initial_result=lambda resolved, predicted: Packing(predicted=predicted),
    reader=PackingReader,
    total_steps=lambda resolved: 3,
    column_types={"kilograms": "DOUBLE"},
    column_values=lambda resolved, result: {"gpus": 0, "kilograms": result.kilograms if result else None},
)
PACKING_VIEW = KindView(
    rows=lambda result: [("packed", f"{result.kilograms} kg")],
    data=("kilograms",),
)

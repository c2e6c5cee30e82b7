"""The result of a training run: what was asked, what was in effect, what was predicted, and the summary."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.training.effective import Difference, InEffect, Setup
from harness.training.summary import Summary


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The result of a training run, as its record keeps it; `predicted` holds figures of the cost model by name."""

    asked: Setup
    in_effect: InEffect | None = None
    differences: tuple[Difference, ...] = ()
    predicted: Mapping[str, float] | None = None
    summary: Summary | None = None

    @property
    def model(self) -> str | None:
        """None: what is trained is named by its configuration."""
        return None

    @property
    def world_size(self) -> int | None:
        """The number of ranks that the log states, and else the one asked for."""
        return (self.in_effect.setup.world_size if self.in_effect else None) or self.asked.world_size


def training_result(result: object) -> TrainingResult | None:
    """A record's result where it is that of a training run, None where it is another kind's or there is none yet."""
    return result if isinstance(result, TrainingResult) else None

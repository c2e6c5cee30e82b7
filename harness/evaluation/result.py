"""What an evaluation came to, as its record keeps it: of each checkpoint the headline figures and the result file."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class CheckpointFigures:
    """The headline figures of one checkpoint; None where a part was not measured.

    `gini`, `cv` and `utilisation` are means over the decoder's MoE layers, `scores` the tasks' metrics by
    `TASK METRIC`. All else is in `output_file`.
    """

    checkpoint: str
    output_file: str
    step: int | None = None
    loss: float | None = None
    perplexity: float | None = None
    tokens: int | None = None
    gini: float | None = None
    cv: float | None = None
    utilisation: float | None = None
    latency_ms: float | None = None
    tokens_per_s: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    walltime_s: float | None = None

    @property
    def name(self) -> str:
        """`step 50`, or the folder of weights that are of no step."""
        return self.checkpoint if self.step is None else f"step {self.step}"


@dataclass(frozen=True, kw_only=True)
class EvaluationStep:
    """One checkpoint that was evaluated, the `number`th of `total`."""

    number: int
    total: int
    figures: CheckpointFigures

    @property
    def unit(self) -> str:
        """What is counted."""
        return "checkpoint"

    @property
    def text(self) -> str:
        """`step 50  loss 2.5651  perplexity 13.00  3.1 s`."""
        figures = self.figures
        parts = [
            figures.name,
            f"loss {figures.loss:.4f}" if figures.loss is not None else "",
            f"perplexity {figures.perplexity:.4g}" if figures.perplexity is not None else "",
            f"Gini {figures.gini:.3f}" if figures.gini is not None else "",
            f"{figures.tokens_per_s:,.0f} tokens/s" if figures.tokens_per_s is not None else "",
            *(f"{name} {value:.4f}" for name, value in figures.scores.items()),
            f"{figures.walltime_s:.1f} s" if figures.walltime_s is not None else "",
        ]
        return "  ".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """The checkpoints that are evaluated, in the order of evaluation; `total` counts those that were asked for."""

    evaluated: tuple[CheckpointFigures, ...] = ()
    total: int | None = None

    @property
    def model(self) -> str | None:
        """The configuration names it."""
        return None

    @property
    def predicted(self) -> Mapping[str, float] | None:
        """Nothing is predicted of evaluations."""
        return None

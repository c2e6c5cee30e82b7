"""The contents of a training log, a class for each kind of line. Missing is None, never 0."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.units import show_seconds


@dataclass(frozen=True, kw_only=True)
class StepSample:
    """One iteration line: averages over the steps since the line before it.

    From Megatron 0.16 on the first line of a launch is printed without resetting the averages, so the second line
    of a launch still contains the first step, in its time and in its losses.
    """

    iteration: int
    train_iters: int
    launch: int = 0  # 0 for the first start of the run, 1 after one restart, …
    printed_at: str | None = None
    consumed_samples: int | None = None
    step_s: float
    global_batch_size: int | None = None
    tokens_per_s_per_gpu: float | None = None
    tflops_per_gpu: float | None = None
    loss: float | None = None
    mtp_losses: tuple[float | None, ...] = ()
    grad_norm: float | None = None
    learning_rate: float | None = None
    loss_scale: float | None = None
    skipped: int = 0
    nan: int = 0
    other: Mapping[str, float] = field(default_factory=dict)  # every further field, under Megatron's own name

    @property
    def number(self) -> int:
        """The number of the step."""
        return self.iteration

    @property
    def total(self) -> int:
        """The number of steps of the whole run."""
        return self.train_iters

    @property
    def unit(self) -> str:
        """The unit that is counted."""
        return "step"

    @property
    def text(self) -> str:
        """`loss 8.1234  27.2 s  310.1 TFLOP/s/GPU  1,204 tokens/s/GPU`, without what is not known."""
        figures = [] if self.loss is None else [f"loss {self.loss:.4f}"]
        figures.append(show_seconds(self.step_s))
        if self.tflops_per_gpu:
            figures.append(f"{self.tflops_per_gpu:,.1f} TFLOP/s/GPU")
        if self.tokens_per_s_per_gpu:
            figures.append(f"{self.tokens_per_s_per_gpu:,.0f} tokens/s/GPU")
        return "  ".join(figures)


@dataclass(frozen=True, kw_only=True)
class MemoryReport:
    """Megatron's CUDA memory line of one rank; only ranks of data parallel rank 0 print it."""

    rank: int
    iteration: int
    allocated_bytes: int
    max_allocated_bytes: int
    reserved_bytes: int
    max_reserved_bytes: int


@dataclass(frozen=True, kw_only=True)
class PeakMemory:
    """The peak memory of each rank, and what was measured: `rss` or `cuda_allocated`."""

    per_rank_bytes: tuple[int, ...]
    kind: str


@dataclass(frozen=True, kw_only=True)
class Validation:
    """A validation line. `dataset` names one of several validation sets."""

    iteration: int
    split: str  # "validation" or "test"
    dataset: str | None = None
    loss: float
    perplexity: float | None = None


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved:
    """A checkpoint that was saved completely. `path` is None for a node-local one."""

    iteration: int
    path: str | None

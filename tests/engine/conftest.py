"""For each tiny model one initial checkpoint, and the curve of a single rank from there."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_jobs import Curve, Job, Ranks
from engine_models import GROUPED_GEMM, LATENT, NORMED_HEADS, ON_CPU, TRAINING


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A model's initial checkpoint, and how one rank trains from it."""

    ranks: Ranks
    model: tuple[str, ...]
    checkpoint: Path
    curve: Curve

    def run(self, *mapping: str, world_size: int, task: str = "train", experts: tuple[str, ...] = GROUPED_GEMM) -> Job:
        """Train from the initial checkpoint under a parallel mapping."""
        argv = (*from_initial(self.checkpoint), *self.model, *experts, *mapping)
        return self.ranks.run(*argv, world_size=world_size, task=task)


def from_initial(checkpoint: Path) -> tuple[str, ...]:
    """The arguments of a training run from the initial checkpoint."""
    return (*ON_CPU, *TRAINING, "--load", str(checkpoint), "--finetune", "--no-load-optim", "--no-load-rng")


@pytest.fixture(scope="session")
def latent(ranks: Ranks, tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    """The model like DeepSeek-V3."""
    return baseline(ranks, LATENT, tmp_path_factory.mktemp("latent"))


@pytest.fixture(scope="session")
def grouped_query(ranks: Ranks, tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    """The model like Mixtral and Qwen, heads normed."""
    return baseline(ranks, NORMED_HEADS, tmp_path_factory.mktemp("grouped_query"))


def baseline(ranks: Ranks, model: tuple[str, ...], checkpoint: Path) -> Baseline:
    """Save an initial checkpoint, and train from it on one rank."""
    saving = ("--save", str(checkpoint), "--save-interval", "1", "--no-save-optim", "--no-save-rng")
    # Megatron saves after an iteration; at a learning rate of 0 it leaves the weights as they were.
    unmoved = ("--train-iters", "1", "--lr", "0", "--min-lr", "0")
    saved = ranks.run(*ON_CPU, *TRAINING, *model, *GROUPED_GEMM, *unmoved, *saving)
    assert set(saved.exit_codes) == {0}, saved.log[-6000:]
    curve = ranks.run(*from_initial(checkpoint), *model, *GROUPED_GEMM).curve
    assert curve.loss[0] - curve.loss[-1] > 0.1, "a curve that does not move proves nothing"
    return Baseline(ranks=ranks, model=model, checkpoint=checkpoint, curve=curve)

"""Checkpoints that real Megatron saved, once for all tests."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from engine_jobs import Ranks
from engine_models import GROUPED_GEMM, GROUPED_QUERY, LATENT, ON_CPU, TRAINING

MAPPING = (
    *("--tensor-model-parallel-size", "2", "--pipeline-model-parallel-size", "2", "--sequence-parallel"),
    *("--expert-model-parallel-size", "2", "--expert-tensor-parallel-size", "1", "--use-distributed-optimizer"),
)
EXPERTS_CUT_TOO = ("--tensor-model-parallel-size", "2", "--expert-tensor-parallel-size", "2", "--sequence-parallel")


@pytest.fixture(scope="session")
def saves(ranks: Ranks, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Checkpoints of Megatron 0.19 by what is particular about them.

    latent: like DeepSeek-V3, a key a layer, TP2·PP2·EP2, with the distributed optimizer. stacked: like Qwen2, bf16, all
    layers in one tensor, sequential experts, which TP cuts as well.
    """
    arguments = {
        "latent": ((*LATENT, *GROUPED_GEMM, *MAPPING), 4),
        "stacked": ((*GROUPED_QUERY, "--bf16", *EXPERTS_CUT_TOO, "--no-save-optim"), 2),
    }
    return {name: _save(ranks, tmp_path_factory.mktemp(name), *asked) for name, asked in arguments.items()}


def _save(ranks: Ranks, folder: Path, arguments: tuple[str, ...], world_size: int) -> Path:
    saving = ("--train-iters", "1", "--save", str(folder), "--save-interval", "1")
    job = ranks.run(*ON_CPU, *TRAINING, *arguments, *saving, world_size=world_size)
    assert set(job.exit_codes) == {0}, job.log[-6000:]
    return folder

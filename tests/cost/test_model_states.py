"""Parameters, gradients and optimizer states against those that Megatron builds on a rank."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_saved_activations import GROUPED_QUERY, LATENT

from harness.arch.shards import rank_parameters
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.cost.model_states import model_states, sharded_parameters
from harness.cost.training_flags import training

HERE = Path(__file__).parent
DISTRIBUTED: dict[str, ArgValue] = {"--use-distributed-optimizer": True}
SPREAD: dict[str, ArgValue] = {
    "--tensor-model-parallel-size": "2",
    "--sequence-parallel": True,
    "--expert-model-parallel-size": "4",
    "--expert-tensor-parallel-size": "1",
}
JOBS: dict[str, tuple[dict[str, ArgValue], int]] = {
    "one rank": ({}, 1),
    "replicated": ({}, 4),
    "distributed": (DISTRIBUTED, 4),
    "gradients in bf16": ({**DISTRIBUTED, "--grad-reduce-in-bf16": True}, 4),
    "TP, EP and distributed": ({**DISTRIBUTED, **SPREAD}, 16),
    "TP and EP": (SPREAD, 16),
}
MODELS = {"GQA": GROUPED_QUERY, "MLA": LATENT}
CASES = {
    f"{model}, {name}": (MegatronArgs({**flags, **changes, "--global-batch-size": "32"}), ranks)
    for model, flags in MODELS.items()
    for name, (changes, ranks) in JOBS.items()
}
PADDING = 1e-3


@pytest.fixture(scope="module")
def built() -> dict[str, dict[str, int]]:
    """What Megatron holds on rank 0 of each of `CASES`."""
    search = os.pathsep.join(map(str, (HERE.parent.parent, HERE.parent)))
    done = subprocess.run(
        [sys.executable, HERE / "states_by_megatron.py"],
        input=json.dumps([(args.argv(), ranks) for args, ranks in CASES.values()]),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": search, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(CASES, json.loads(done.stdout), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_states_equal_those_that_megatron_builds(name: str, built: dict[str, dict[str, int]]) -> None:
    """Shards are equal but for the padding of Megatron's buffers (at most 128 parameters a rank and bucket)."""
    job, found = training(*CASES[name]), built[name]
    held = rank_parameters(job.arch, job.pipeline[0], job.parallel, transformer_engine=False)
    states = model_states(job, held)
    assert held.total == found["parameters"]
    assert states.weights == found["weights"]
    assert states.grads == found["grads"]
    assert sharded_parameters(job, held) == pytest.approx(found["main"], rel=PADDING, abs=0)
    assert states.main_weights == 4 * sharded_parameters(job, held)
    assert states.moments == 2 * states.main_weights

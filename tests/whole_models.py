"""Models that Megatron builds whole, on one rank that speaks with nobody, in a process of their own.

A program calls `answer_each`, a test `ask_each`: torch must be adapted before Megatron loads, and no test does that.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
SWITCHES = "--mock-data --no-rope-fusion --no-persist-layer-norm --no-gradient-accumulation-fusion"
CONSTANTS = "--transformer-impl local --lr 1e-4 --train-iters 1 --tokenizer-type NullTokenizer"


def ask_each(program: Path, models: Iterable[Sequence[str]]) -> list[Any]:
    """Run a program that calls `answer_each` on these models, each given as Megatron's arguments."""
    search = os.pathsep.join(map(str, (TESTS.parent, TESTS)))
    done = subprocess.run(
        [sys.executable, program],
        input=json.dumps([list(argv) for argv in models]),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": search, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[Any] = json.loads(done.stdout)
    return answers


def answer_each(answer: Callable[[Any], object], *switches: str) -> None:
    """Build every model that stdin lists, with `switches` added, and print what `answer` says of each, as JSON."""
    from harness.engine.entry import install_device

    os.environ["CUDA_DEVICE_MAX_CONNECTIONS"] = "1"
    install_device()
    import torch
    from megatron.core import parallel_state, tensor_parallel
    from torch.testing._internal.distributed.fake_pg import FakeStore

    with redirect_stdout(sys.stderr):
        torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=1)
        parallel_state.initialize_model_parallel(create_gloo_process_groups=False)
        tensor_parallel.model_parallel_cuda_manual_seed(1)
        answers = [answer(_built([*argv, *switches])) for argv in json.load(sys.stdin)]
    json.dump(answers, sys.stdout)


def _built(argv: list[str]) -> Any:
    """The model that these arguments make."""
    from megatron.core.process_groups_config import ProcessGroupCollection
    from megatron.training.argument_utils import gpt_config_from_args
    from megatron.training.arguments import add_megatron_arguments, validate_args

    from harness.engine.model import TorchNativeBuilder, TorchNativeConfig

    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_megatron_arguments(parser)
    args = parser.parse_args([*argv, *SWITCHES.split(), *CONSTANTS.split()])
    args.rank, args.world_size = 0, 1
    config = gpt_config_from_args(validate_args(args), model_config_cls=TorchNativeConfig)
    groups = ProcessGroupCollection.use_mpu_process_groups()
    return TorchNativeBuilder(config).build_model(groups, pre_process=True, post_process=True)

"""Builds models with Megatron and prints what they hold. Run as a program: it must adapt torch before Megatron loads.

In: JSON, a list of argument vectors. Out: JSON, for each the number of parameters by the module that owns them, e.g.
`{"decoder.layers.0.self_attention.linear_proj": 4096}`.
"""

import argparse
import json
import os
import sys
from collections import Counter
from contextlib import redirect_stdout

from harness.engine.device import install_cpu_ranks

SWITCHES = "--bf16 --mock-data --no-rope-fusion --no-persist-layer-norm --no-gradient-accumulation-fusion"


def main() -> None:
    """Build each model on one rank."""
    install_cpu_ranks()
    import torch
    from megatron.core import parallel_state, tensor_parallel
    from torch.testing._internal.distributed.fake_pg import FakeStore

    with redirect_stdout(sys.stderr):
        torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=1)
        parallel_state.initialize_model_parallel(create_gloo_process_groups=False)
        tensor_parallel.model_parallel_cuda_manual_seed(1)
        counts = [parameters(argv) for argv in json.load(sys.stdin)]
    json.dump(counts, sys.stdout)


def parameters(argv: list[str]) -> dict[str, int]:
    """Parameters of the model that these arguments make, by module."""
    from megatron.core.process_groups_config import ProcessGroupCollection
    from megatron.training.argument_utils import gpt_config_from_args
    from megatron.training.arguments import add_megatron_arguments, validate_args

    from harness.engine.model import TorchNativeBuilder, TorchNativeConfig

    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_megatron_arguments(parser)
    constants = [*SWITCHES.split(), "--transformer-impl", "local", "--lr", "1e-4", "--train-iters", "1"]
    args = parser.parse_args([*argv, *constants, "--tokenizer-type", "NullTokenizer"])
    args.rank, args.world_size = 0, 1
    config = gpt_config_from_args(validate_args(args), model_config_cls=TorchNativeConfig)
    groups = ProcessGroupCollection.use_mpu_process_groups()
    model = TorchNativeBuilder(config).build_model(groups, pre_process=True, post_process=True)
    counts: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        counts[name.rpartition(".")[0]] += parameter.numel()
    return counts


if __name__ == "__main__":
    os.environ["CUDA_DEVICE_MAX_CONNECTIONS"] = "1"
    main()

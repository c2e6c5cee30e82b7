"""Builds models with Megatron and prints what their checkpoints consist of. Run as a program.

In: JSON, a list of argument vectors. Out: JSON, for each the shapes of its tensors by key, and its objects' names.
It must adapt torch before Megatron loads.
"""

import argparse
import json
import os
import sys
from contextlib import redirect_stdout
from typing import Any

from harness.engine.device import install_cpu_ranks

SWITCHES = "--mock-data --no-rope-fusion --no-persist-layer-norm --no-gradient-accumulation-fusion --seq-length 32"
METADATA = {"non_homogeneous_layers": True, "singleton_local_shards": False}


def main() -> None:
    """Build each model on one rank, whole."""
    install_cpu_ranks()
    import torch
    from megatron.core import parallel_state, tensor_parallel
    from torch.testing._internal.distributed.fake_pg import FakeStore

    with redirect_stdout(sys.stderr):
        torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=1)
        parallel_state.initialize_model_parallel(create_gloo_process_groups=False)
        tensor_parallel.model_parallel_cuda_manual_seed(1)
        answers = [asked(build(argv)) for argv in json.load(sys.stdin)]
    json.dump(answers, sys.stdout)


def build(argv: list[str]) -> Any:
    """The model that these arguments make."""
    from megatron.core.process_groups_config import ProcessGroupCollection
    from megatron.training.argument_utils import gpt_config_from_args
    from megatron.training.arguments import add_megatron_arguments, validate_args

    from harness.engine.model import TorchNativeBuilder, TorchNativeConfig

    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_megatron_arguments(parser)
    constants = [*SWITCHES.split(), "--transformer-impl", "local", "--lr", "1e-4", "--train-iters", "1"]
    args = parser.parse_args([*argv, *constants, "--micro-batch-size", "1", "--tokenizer-type", "NullTokenizer"])
    args.rank, args.world_size = 0, 1
    config = gpt_config_from_args(validate_args(args), model_config_cls=TorchNativeConfig)
    groups = ProcessGroupCollection.use_mpu_process_groups()
    return TorchNativeBuilder(config).build_model(groups, pre_process=True, post_process=True)


def asked(model: Any) -> dict[str, Any]:
    """The tensors and objects that the model saves, and asks for when it loads."""
    from megatron.core.dist_checkpointing.mapping import ShardedObject, ShardedTensor, apply_factories

    state = model.sharded_state_dict(metadata=METADATA)
    apply_factories(state)
    tensors, objects = {}, []
    for entry in leaves(state):
        if isinstance(entry, ShardedTensor):
            tensors[entry.key] = list(entry.global_shape)
        elif isinstance(entry, ShardedObject):
            objects.append(entry.unique_key)
    return {"tensors": tensors, "objects": objects}


def leaves(state: Any) -> Any:
    """All that dicts and lists hold."""
    if isinstance(state, dict):
        state = list(state.values())
    if isinstance(state, list):
        for entry in state:
            yield from leaves(entry)
    else:
        yield state


if __name__ == "__main__":
    os.environ["CUDA_DEVICE_MAX_CONNECTIONS"] = "1"
    main()

"""A program: bytes of weights, gradients, main weights and moments that Megatron's optimizer holds on rank 0 of a job.

stdin: a list of [Megatron's arguments, ranks]. No rank but this one runs: its process groups know sizes alone.
"""

import argparse
import json
import os
import sys
from contextlib import redirect_stdout
from typing import Any

SWITCHES = "--mock-data --no-rope-fusion --no-persist-layer-norm --no-gradient-accumulation-fusion --use-mcore-models"
CONSTANTS = "--transformer-impl local --lr 1e-4 --train-iters 1 --tokenizer-type NullTokenizer"


def main() -> None:
    """Answer each job."""
    from harness.engine.entry import install_device

    os.environ["CUDA_DEVICE_MAX_CONNECTIONS"] = "1"
    install_device()
    with redirect_stdout(sys.stderr):
        answers = [states(argv, ranks) for argv, ranks in json.load(sys.stdin)]
    json.dump(answers, sys.stdout)


def states(argv: list[str], ranks: int) -> dict[str, int]:
    """Bytes by kind of state after the model and its optimizer were built."""
    import torch
    from megatron.core import parallel_state, tensor_parallel
    from megatron.core.distributed import DistributedDataParallel, DistributedDataParallelConfig
    from megatron.core.optimizer import OptimizerConfig, get_megatron_optimizer
    from megatron.core.process_groups_config import ProcessGroupCollection
    from megatron.training.argument_utils import gpt_config_from_args
    from megatron.training.arguments import add_megatron_arguments, validate_args
    from torch.testing._internal.distributed.fake_pg import FakeStore

    from harness.engine.model import TorchNativeBuilder, TorchNativeConfig

    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_megatron_arguments(parser)
    args = parser.parse_args([*argv, *SWITCHES.split(), *CONSTANTS.split()])
    args.rank, args.world_size = 0, ranks
    args = validate_args(args)
    new_group = torch.distributed.distributed_c10d.new_group
    torch.distributed.new_group = lambda *args, **options: new_group(*args, **{**options, "backend": "fake"})
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=ranks)
    parallel_state.initialize_model_parallel(
        tensor_model_parallel_size=args.tensor_model_parallel_size,
        pipeline_model_parallel_size=args.pipeline_model_parallel_size,
        expert_model_parallel_size=args.expert_model_parallel_size,
        expert_tensor_parallel_size=args.expert_tensor_parallel_size,
        create_gloo_process_groups=False,
    )
    tensor_parallel.model_parallel_cuda_manual_seed(1)
    config = gpt_config_from_args(args, model_config_cls=TorchNativeConfig)
    groups = ProcessGroupCollection.use_mpu_process_groups()
    first = parallel_state.is_pipeline_first_stage()
    model = (
        TorchNativeBuilder(config)
        .build_model(groups, pre_process=first, post_process=parallel_state.is_pipeline_last_stage())
        .bfloat16()
    )
    ddp = DistributedDataParallel(
        config.transformer,
        DistributedDataParallelConfig(
            grad_reduce_in_fp32=args.accumulate_allreduce_grads_in_fp32,
            use_distributed_optimizer=args.use_distributed_optimizer,
        ),
        model,
    )
    optimizer = get_megatron_optimizer(
        OptimizerConfig(lr=1e-4, bf16=True, use_distributed_optimizer=args.use_distributed_optimizer),
        [ddp],
        use_gloo_process_groups=False,
    )
    found = counted(ddp, optimizer)
    parallel_state.destroy_model_parallel()
    torch.distributed.destroy_process_group()
    return found


def counted(ddp: Any, optimizer: Any) -> dict[str, int]:
    """Weights and gradients of the buffers, and the main weights; Adam makes two moments like each main weight."""
    main = 0
    for part in getattr(optimizer, "chained_optimizers", [optimizer]):
        groups = getattr(part, "shard_fp32_from_float16_groups", None) or part.fp32_from_float16_groups
        main += sum(tensor.numel() for group in groups for tensor in group if tensor is not None)
        fp32 = getattr(part, "shard_fp32_groups", None) or getattr(part, "fp32_from_fp32_groups", [])
        main += sum(tensor.numel() for group in fp32 for tensor in group)
    parameters = list(ddp.module.parameters())
    return {
        "parameters": sum(parameter.numel() for parameter in parameters),
        "weights": sum(parameter.nbytes for parameter in parameters),
        "grads": sum(parameter.main_grad.nbytes for parameter in parameters),
        "main": main,
    }


if __name__ == "__main__":
    main()

"""Megatron's own verdict on a set of flags: its parser, validation, configuration and grids, run in this process."""

import argparse
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import cache
from types import MappingProxyType

import torch
from megatron.core import parallel_state
from megatron.core.num_microbatches_calculator import ConstantNumMicroBatchesCalculator
from megatron.core.pipeline_parallel.schedules import forward_backward_pipelining_with_interleaving
from megatron.core.transformer.moe.moe_utils import topk_routing_with_score_function
from megatron.core.transformer.transformer_block import get_num_layers_to_build
from megatron.training.argument_utils import core_transformer_config_from_args
from megatron.training.arguments import add_megatron_arguments, validate_args
from megatron.training.training import get_megatron_ddp_config, get_megatron_optimizer_config
from pretended_gpu import pretended_gpu
from torch.testing._internal.distributed.fake_pg import FakeStore

from harness.config.megatron_args import MegatronArgs

BASE = {
    "--bf16": True,
    "--lr": "1e-4",
    "--train-iters": "1",
    "--mock-data": True,
    "--tokenizer-type": "NullTokenizer",
}
GRID = (
    "tensor_model_parallel_size",
    "pipeline_model_parallel_size",
    "virtual_pipeline_model_parallel_size",
    "context_parallel_size",
    "expert_model_parallel_size",
    "expert_tensor_parallel_size",
)
NEWEST_TE = (2, 14)
NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})


class ChecksPassedError(Exception):
    """Raised by a stand-in model when a schedule begins to use it, that is, after all its checks."""


class UntouchableModel(torch.nn.Module):
    """A model with nothing but a configuration."""

    def __init__(self, config: object) -> None:
        super().__init__()
        self.config = config

    @property
    def model_type(self) -> None:
        raise ChecksPassedError


def refusal(
    args: MegatronArgs,
    world_size: int,
    *,
    gpu: str = "B200",
    te: tuple[int, ...] = NEWEST_TE,
    env: Mapping[str, str] = NO_ENVIRONMENT,
) -> str | None:
    """The message of the first check that refuses these flags, or None if Megatron would run them."""
    with pretended_gpu(gpu, te, env), redirect_stdout(io.StringIO()), _silence():
        try:
            _run_checks(_parsed(args, world_size))
        except ChecksPassedError:
            return None
        except (AssertionError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
    return None


@contextmanager
def _silence() -> Iterator[None]:
    """Megatron's advice is no verdict."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _run_checks(args: argparse.Namespace) -> None:
    validate_args(args)
    config = core_transformer_config_from_args(args)
    get_megatron_optimizer_config(args)
    get_megatron_ddp_config(args)
    _check_layers(config, args)
    ConstantNumMicroBatchesCalculator(
        args.global_batch_size, args.micro_batch_size, args.data_parallel_size, False, rank=1
    )
    if args.num_experts:
        _check_routing(config)
    sizes = {name: getattr(args, name) for name in GRID}
    if args.virtual_pipeline_model_parallel_size:
        with _process_groups(args.world_size, **sizes):
            _check_schedule(config, args)
    else:
        _check_grids(args.world_size, **sizes)


def _check_layers(config: object, args: argparse.Namespace) -> None:
    """The stages that Megatron would build hold every layer, and none a negative number."""
    if args.pipeline_model_parallel_layout is not None:
        return  # counted by the configuration itself
    virtual = args.virtual_pipeline_model_parallel_size
    built = [
        get_num_layers_to_build(config, vp_stage=stage if virtual else None, pp_rank=rank)
        for rank in range(args.pipeline_model_parallel_size)
        for stage in range(virtual or 1)
    ]
    if sum(built) != args.num_layers or min(built) < 0:
        raise ValueError(f"stages hold {built} of {args.num_layers} layers")


def _check_routing(config: object) -> None:
    topk_routing_with_score_function(
        torch.randn(4, config.num_moe_experts),
        topk=config.moe_router_topk,
        use_pre_softmax=config.moe_router_pre_softmax,
        num_groups=config.moe_router_num_groups,
        group_topk=config.moe_router_group_topk,
        score_function=config.moe_router_score_function,
    )


def _check_schedule(config: object, args: argparse.Namespace) -> None:
    chunks = args.virtual_pipeline_model_parallel_size
    forward_backward_pipelining_with_interleaving(
        forward_step_func=None,
        data_iterator=[None] * chunks,
        model=[UntouchableModel(config)] * chunks,
        num_microbatches=args.global_batch_size // (args.micro_batch_size * args.data_parallel_size),
        seq_length=args.seq_length,
        micro_batch_size=args.micro_batch_size,
        forward_only=True,
    )


def _parsed(args: MegatronArgs, world_size: int) -> argparse.Namespace:
    namespace = _parser().parse_args(MegatronArgs({**BASE, **args}).argv())
    namespace.rank, namespace.world_size = 0, world_size
    return namespace


@cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_megatron_arguments(parser)
    return parser


@cache
def _check_grids(world_size: int, **sizes: int | None) -> None:
    """Megatron makes these grids. They depend on nothing else, and making them takes most of the time of a verdict."""
    with _process_groups(world_size, **sizes):
        pass


@contextmanager
def _process_groups(world_size: int, **sizes: int | None) -> Iterator[None]:
    """Megatron's grids over a process group that sends nothing."""
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=world_size)
    try:
        parallel_state.initialize_model_parallel(**sizes, create_gloo_process_groups=False)
        yield
    finally:
        parallel_state.destroy_model_parallel()
        torch.distributed.destroy_process_group()

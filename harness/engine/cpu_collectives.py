"""Collectives over gloo where Megatron asks for NCCL."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
import torch.distributed


def install() -> None:
    """Patch the entry points of `torch.distributed` that differ between NCCL and gloo."""
    distributed: Any = torch.distributed
    distributed.init_process_group = _over_gloo(distributed.init_process_group)
    distributed.new_group = _over_gloo(distributed.new_group)
    distributed.all_to_all_single = _with_listed_splits(distributed.all_to_all_single)
    distributed.all_gather = _of_any_sizes(distributed.all_gather, _gather_one_by_one)
    distributed.reduce_scatter = _of_any_sizes(distributed.reduce_scatter, _reduce_one_by_one)
    distributed.barrier = _without("device_ids", distributed.barrier)


def _over_gloo(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that makes process groups: it takes NCCL, or no backend, to mean gloo."""

    @wraps(function)
    def over_gloo(*args: Any, **options: Any) -> Any:
        if not args and options.get("backend") in (None, "nccl"):
            options["backend"] = "gloo"
        options.pop("device_id", None)
        options.pop("pg_options", None)
        return function(*args, **options)

    return over_gloo


def _with_listed_splits(all_to_all: Callable[..., Any]) -> Callable[..., Any]:
    """`all_to_all_single` that takes its split sizes (counts of rows) as tensors or arrays too; gloo wants lists."""

    @wraps(all_to_all)
    def exchanged(
        output: Any, input: Any, output_split_sizes: Any = None, input_split_sizes: Any = None, **options: Any
    ) -> Any:
        return all_to_all(output, input, _listed(output_split_sizes), _listed(input_split_sizes), **options)

    return exchanged


def _listed(sizes: Any) -> Any:
    return sizes.tolist() if hasattr(sizes, "tolist") else sizes


def _of_any_sizes(collective: Callable[..., Any], one_by_one: Callable[..., None]) -> Callable[..., Any]:
    """A collective on a list of a tensor for each rank, which may differ in size; gloo wants them equal."""

    @wraps(collective)
    def of_any_sizes(first: Any, second: Any, *args: Any, **options: Any) -> Any:
        parts = first if isinstance(first, list) else second
        if len({part.shape for part in parts}) == 1:
            return collective(first, second, *args, **options)
        return one_by_one(first, second, options.get("group"))

    return of_any_sizes


def _gather_one_by_one(outputs: list[torch.Tensor], tensor: torch.Tensor, group: Any) -> None:
    outputs[torch.distributed.get_rank(group)].copy_(tensor)
    for rank, part in enumerate(outputs):
        torch.distributed.broadcast(part, group=group, group_src=rank)


def _reduce_one_by_one(output: torch.Tensor, inputs: list[torch.Tensor], group: Any) -> None:
    for rank, part in enumerate(inputs):
        total = part.clone()
        torch.distributed.reduce(total, group=group, group_dst=rank)
        if rank == torch.distributed.get_rank(group):
            output.copy_(total)


def _without(option: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that it ignores an option that only NCCL knows."""

    @wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        options.pop(option, None)
        return function(*args, **options)

    return called

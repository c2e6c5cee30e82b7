"""Copies of a model that go through their own work pass by pass, together: experts' tokens are exchanged in each."""

from collections.abc import Callable, Iterator

import torch
import torch.distributed
from megatron.core import mpu


def run_in_step(work: Iterator[None], idle: Callable[[], None]) -> None:
    """Carry out `work`, which stops before each of its forward passes; until all copies are through, do idle passes.

    Every rank calls it at once, with work for as many passes as it likes.
    """
    busy = _goes_on(work)
    while _any_copy(busy):
        if busy:
            busy = _goes_on(work)
        else:
            idle()


def _goes_on(work: Iterator[None]) -> bool:
    """Go on to before the next forward pass; False where there is none."""
    return next(work, False) is None


def _any_copy(busy: bool) -> bool:
    """Whether any data-parallel copy is busy."""
    group = mpu.get_data_parallel_group()
    if group.size() == 1:
        return busy
    flag = torch.tensor([busy], dtype=torch.int32, device=torch.cuda.current_device())
    torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX, group=group)
    return bool(flag.item())

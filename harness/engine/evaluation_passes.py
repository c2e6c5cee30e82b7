"""Run windows of tokens through a model, and bring what is measured of them together on the first rank.

Legend: n windows, s tokens each, b windows a micro-batch, d multi-token prediction layers, T tokens that are no
padding, k experts a token.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed
from megatron.core import mpu
from numpy.typing import NDArray

from harness.engine.routing_record import DROPPED, Choices, RoutingRecord
from harness.engine.session import ModelSession
from harness.engine.token_losses import TokenLosses
from harness.evaluation.windows import Windows


@dataclass(frozen=True, kw_only=True)
class WindowMeasurements:
    """What was measured of n windows: losses in nats, any number where a window has no target; experts by layer.

    `nll` [n, s] and `mtp_nll` [d, n, s] are None where losses, or predicting layers, were not asked for or absent.
    `experts` [T, k] by layer is empty without routers. `groups` is None where routing is not limited to groups.
    """

    nll: NDArray[np.float32] | None
    mtp_nll: NDArray[np.float32] | None
    experts: Choices
    num_experts: int | None
    groups: int | None


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What one rank measured, of the windows that it was dealt."""

    windows: NDArray[np.int64]
    nll: NDArray[np.float32] | None
    mtp_nll: NDArray[np.float32] | None
    experts: Choices


def measure(
    session: ModelSession, windows: Windows, batch_size: int, *, loss: bool, routing: bool
) -> WindowMeasurements | None:
    """Losses and routing of all windows, on the first rank; None on the others. Every rank calls it.

    Micro-batches are dealt to the data-parallel ranks in turn. All of them make the same number of passes, for they
    exchange tokens of experts: what is missing are windows of padding alone, which count nowhere.

    An MTP layer of depth i reads the token 1 + i places on: the last 1 + i tokens of a window are routed there with
    token 0 in its place.
    """
    dealt = _dealt(len(windows.lengths), batch_size, mpu.get_data_parallel_rank(), mpu.get_data_parallel_world_size())
    batches = [_filled(windows.tokens, mine, batch_size) for mine in dealt]
    losses, record = TokenLosses(session, [batch[:, 1:] for batch in batches]), RoutingRecord()
    with ExitStack() as recording:
        if loss:
            recording.enter_context(losses.recorded())
        if routing:
            recording.enter_context(record.recorded(session.model))
        session.forward([batch[:, :-1] for batch in batches], lambda _logits: None)
    parts = _at_first_rank(_part(windows, dealt, batch_size, losses, record))
    return _together(session.args, windows, parts) if torch.distributed.get_rank() == 0 else None


def _dealt(windows: int, batch_size: int, rank: int, ranks: int) -> list[NDArray[np.int64]]:
    """The windows of each micro-batch of a data-parallel rank: of the last ones fewer, or none."""
    batches = -(-windows // batch_size)
    passes = -(-batches // ranks)
    starts = [(turn * ranks + rank) * batch_size for turn in range(passes)]
    return [np.arange(min(start, windows), min(start + batch_size, windows)) for start in starts]


def _filled(tokens: NDArray[np.int32], mine: NDArray[np.int64], batch_size: int) -> torch.Tensor:
    """The tokens [b, s + 1] of a micro-batch, filled up with windows of padding."""
    batch = np.zeros((batch_size, tokens.shape[1]), dtype=np.int64)
    batch[: len(mine)] = tokens[mine]
    return torch.from_numpy(batch)


def _part(
    windows: Windows,
    dealt: Sequence[NDArray[np.int64]],
    batch_size: int,
    losses: TokenLosses,
    record: RoutingRecord,
) -> _Part | None:
    """What this rank adds; None where a tensor-parallel rank before it adds the same."""
    if mpu.get_tensor_model_parallel_rank():
        return None
    lengths = [np.pad(windows.lengths[mine], (0, batch_size - len(mine))) for mine in dealt]
    places = np.arange(windows.tokens.shape[1] - 1)
    is_real = np.concatenate([np.arange(batch_size) < len(mine) for mine in dealt])
    nll, mtp_nll = losses.nll, losses.mtp_nll
    return _Part(
        windows=np.concatenate(dealt),
        nll=None if nll is None else nll[is_real],
        mtp_nll=None if mtp_nll is None else mtp_nll[:, is_real],
        experts=record.choices([places < length[:, None] for length in lengths]),
    )


def _at_first_rank(part: _Part | None) -> list[_Part]:
    """All ranks' parts, one after the other, on the first rank; nothing on the others."""
    if torch.distributed.get_rank():
        torch.distributed.send_object_list([part], dst=0)
        return []
    return [found for found in (part, *_received()) if found is not None]


def _received() -> Iterator[_Part | None]:
    for rank in range(1, torch.distributed.get_world_size()):
        held: list[_Part | None] = [None]
        torch.distributed.recv_object_list(held, src=rank)
        yield held[0]


def _together(args: Any, windows: Windows, parts: Sequence[_Part]) -> WindowMeasurements:
    """The parts in the order of the windows."""
    shape = (len(windows.lengths), windows.tokens.shape[1] - 1)
    nll: NDArray[np.float32] | None = None
    mtp_nll: NDArray[np.float32] | None = None
    ends = np.cumsum(windows.lengths)
    experts: dict[str, NDArray[np.uint16]] = {}
    for part in parts:
        if part.nll is not None:
            nll = np.zeros(shape, np.float32) if nll is None else nll
            nll[part.windows] = part.nll
        if part.mtp_nll is not None:
            mtp_nll = np.zeros((len(part.mtp_nll), *shape), np.float32) if mtp_nll is None else mtp_nll
            mtp_nll[:, part.windows] = part.mtp_nll
        tokens = _tokens_of(part.windows, windows.lengths, ends)
        for name, chosen in part.experts.items():
            whole = experts.setdefault(name, np.full((int(ends[-1]), chosen.shape[1]), DROPPED, np.uint16))
            whole[tokens] = chosen
    in_order = dict(sorted(experts.items(), key=_by_number))
    return WindowMeasurements(
        nll=nll, mtp_nll=mtp_nll, experts=in_order, num_experts=args.num_experts, groups=args.moe_router_num_groups
    )


def _tokens_of(mine: NDArray[np.int64], lengths: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places, among the T real tokens of all windows, of those of some windows."""
    return np.concatenate([np.arange(ends[window] - lengths[window], ends[window]) for window in mine] or [ends[:0]])


def _by_number(named: tuple[str, Any]) -> tuple[str, int]:
    """The order of layers: `layer_2` before `layer_10`, and before `mtp_0`."""
    kind, _, number = named[0].rpartition("_")
    return kind, int(number)

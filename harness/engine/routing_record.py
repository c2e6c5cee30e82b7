"""Record which experts Megatron's routers choose for the tokens of micro-batches.

Legend: b windows, s tokens each, E experts, k experts a token, T tokens that are no padding.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from megatron.core import mpu
from megatron.core.utils import unwrap_model
from numpy.typing import NDArray

DROPPED = np.iinfo(np.uint16).max
"""In place of an expert that a token was to go to, but for its capacity."""

type Choices = Mapping[str, NDArray[np.uint16]]
"""Experts by layer: `layer_N` of the decoder, counted from 0, `mtp_N` of multi-token prediction."""


class RoutingRecord:
    """The experts that this pipeline stage's routers chose, micro-batch after micro-batch.

    Without sequence parallelism the tensor-parallel ranks see the same tokens: the first one's record counts.
    """

    def __init__(self) -> None:
        """Nothing has passed yet."""
        self._chosen: dict[str, list[NDArray[np.uint16]]] = defaultdict(list)  # [s·b, k] each

    @contextmanager
    def recorded(self, model: list[Any]) -> Iterator[None]:
        """Inside, what the routers of `model` choose is kept."""
        with ExitStack() as hooks:
            if mpu.get_tensor_model_parallel_rank() == 0:
                for name, router in _routers(model):
                    hook = router.register_forward_hook(partial(self._keep, name))
                    hooks.callback(hook.remove)
            yield

    def choices(self, masks: Sequence[NDArray[np.bool_]]) -> Choices:
        """The experts [T, k] of each real token by descending weight, in the order of the micro-batches' windows.

        `masks` [b, s] says of each micro-batch which tokens are real.
        """
        return {
            name: np.concatenate([_by_window(chosen, mask)[mask] for chosen, mask in zip(batches, masks, strict=True)])
            for name, batches in self._chosen.items()
        }

    def _keep(self, name: str, router: Any, _inputs: Any, out: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Weights [s·b, E] and whether a token goes to an expert [s·b, E]."""
        weights, chosen = out
        best = weights.masked_fill(~chosen, -1).topk(router.topk, dim=-1)
        experts = best.indices.masked_fill(best.values < 0, DROPPED)
        self._chosen[name].append(experts.cpu().numpy().astype(np.uint16))


def _routers(model: list[Any]) -> Iterator[tuple[str, Any]]:
    """The routers of this stage by the names of their layers."""
    for stage in unwrap_model(model):
        for layer in stage.decoder.layers:
            if router := getattr(layer.mlp, "router", None):
                yield f"layer_{layer.layer_number - 1}", router
        for layer in stage.mtp.layers if getattr(stage, "mtp", None) else ():
            if router := getattr(layer.mtp_model_layer.mlp, "router", None):
                yield f"mtp_{layer.layer_number - 1}", router


def _by_window(chosen: NDArray[np.uint16], mask: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """[s·b, k] → [b, s, k], of a micro-batch with a mask [b, s]."""
    windows, tokens = mask.shape
    return chosen.reshape(tokens, windows, -1).swapaxes(0, 1)

"""Score the tokens of micro-batches as they pass the output layer.

Legend: b windows, s tokens each, v padded vocabulary, d multi-token prediction layers, tp ranks.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from megatron.core import mpu
from megatron.core.tensor_parallel.cross_entropy import vocab_parallel_cross_entropy
from megatron.core.utils import unwrap_model
from numpy.typing import NDArray

from harness.engine.session import ModelSession


class TokenLosses:
    """The negative log-likelihoods of `targets`, a tensor [b, s] for each micro-batch, on the last pipeline stage.

    A micro-batch calls the output layer for the d predicting layers one after the other, and then for the decoder.
    """

    def __init__(self, session: ModelSession, targets: Sequence[torch.Tensor]) -> None:
        """Of micro-batches that are yet to pass."""
        self._session = session
        self._targets = targets
        self._depths: int = session.args.mtp_num_layers or 0
        self._found: list[NDArray[np.float32]] = []  # [b, s] each

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Inside, what passes the output layer is scored, and is of no other use: its logits are overwritten."""
        if not mpu.is_pipeline_last_stage():
            yield
            return
        stage = unwrap_model(self._session.model[-1])
        hook = stage.output_layer.register_forward_hook(
            lambda _layer, _inputs, out: self._score(stage._scale_logits(out[0]))
        )
        try:
            yield
        finally:
            hook.remove()

    @property
    def nll(self) -> NDArray[np.float32] | None:
        """In nats, [windows, s] in the order of the micro-batches; None on the other stages."""
        return np.concatenate(self._found[self._depths :: self._depths + 1]) if self._found else None

    @property
    def mtp_nll(self) -> NDArray[np.float32] | None:
        """Of each predicting layer, [d, windows, s]: depth i predicts target t + 1 + i of the same window at place t.

        The last 1 + i places have none and hold any number. None without such layers, and on the other stages.
        """
        if not self._found or not self._depths:
            return None
        return np.stack([np.concatenate(self._found[i :: self._depths + 1]) for i in range(self._depths)])

    def _score(self, logits: torch.Tensor) -> None:
        """Logits [s, b, v/tp] of the next call."""
        batch, call = divmod(len(self._found), self._depths + 1)
        further = 0 if call == self._depths else call + 1
        targets = self._targets[batch].to(logits.device).roll(-further, dims=1)
        losses = vocab_parallel_cross_entropy(self._session.without_padding(logits), targets.t().contiguous())
        self._found.append(losses.float().t().cpu().numpy())

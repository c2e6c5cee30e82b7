"""Layer normalization by torch, with what sequence parallelism needs."""

from typing import Any

import torch


class RMSNorm(torch.nn.RMSNorm):
    """RMSNorm over the last axis, for activations of any layout ([s, b, h], [s/tp, b, h], [t, h])."""

    def __init__(self, config: Any, hidden_size: int, eps: float = 1e-5, **_unused: Any) -> None:
        """Build the norm of `hidden_size` weights.

        Under sequence parallelism each TP rank sees other tokens, so Megatron has to sum the weights' gradients; it
        does so for parameters that carry `sequence_parallel`.
        """
        super().__init__(hidden_size, eps=eps, dtype=config.params_dtype, device=init_device(config))
        self.weight.sequence_parallel = config.sequence_parallel


def init_device(config: Any) -> Any:
    """Where Megatron initializes a parameter."""
    return torch.device("cpu") if config.use_cpu_initialization else torch.cuda.current_device()

"""Resuming from a checkpoint with the distributed optimizer over torch's own Adam.

Megatron 0.19 can do so with the Adam of Apex and of Transformer Engine, which count steps in one place. torch's counts
them for each parameter, in a tensor, and Megatron's loading trips over that in the three ways mended here.
"""

from typing import Any

import torch
from megatron.core.optimizer.distrib_optimizer import DistributedOptimizer


def install() -> None:
    """Patch the distributed optimizer's loading."""
    optimizer: Any = DistributedOptimizer
    _make_state_before_loading(optimizer, optimizer.sharded_state_dict)
    _set_states_without_step(optimizer, optimizer._set_main_param_and_optimizer_states)
    _count_steps_apart(optimizer, optimizer.load_state_dict)


def _make_state_before_loading(optimizer: Any, sharded_state_dict: Any) -> None:
    """Loading reads the step count, which does not exist before the first step."""

    def with_state(self: Any, model: Any, is_loading: bool = False, *args: Any, **options: Any) -> Any:
        if is_loading and not self.optimizer.state:
            self._init_optimizer_states_with_dummy_values()
        return sharded_state_dict(self, model, is_loading, *args, **options)

    optimizer.sharded_state_dict = with_state


def _set_states_without_step(optimizer: Any, set_states: Any) -> None:
    """Loading looks for the step among a parameter's tensors, where saving put none, or finds that of before loading.

    The true one comes with the parameter groups. And an fp32 parameter is its own main parameter, which wants no_grad.
    """

    @torch.no_grad()
    def without_step(self: Any, parameter: Any, tensors: dict[str, Any]) -> None:
        set_states(self, parameter, {**tensors, "step": None})

    optimizer._set_main_param_and_optimizer_states = without_step


def _count_steps_apart(optimizer: Any, load_state_dict: Any) -> None:
    """Loading gives all parameters one tensor of steps, which Adam would then count up once a parameter."""

    def counted_apart(self: Any, state: Any) -> None:
        load_state_dict(self, state)
        for states in self.optimizer.state.values():
            if "step" in states:
                states["step"] = states["step"].clone()

    optimizer.load_state_dict = counted_apart

"""torch's optimizers without dynamo, which they import at their first use only to keep it out of what they do."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

_KEPT_FROM_DYNAMO = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
_MADE_BY_MEGATRON = (torch.optim.Adam, torch.optim.SGD)


def install() -> None:
    """Put in place what torch wraps; a release that wraps nothing stays as it is."""
    for name in _KEPT_FROM_DYNAMO:
        method = getattr(torch.optim.Optimizer, name)
        setattr(torch.optim.Optimizer, name, getattr(method, "__wrapped__", method))
    for kind in _MADE_BY_MEGATRON:
        kind.step = _with_grad_as_asked(getattr(kind.step, "__wrapped__", kind.step))


def _with_grad_as_asked(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step that is differentiated only where the optimizer is made so, which torch's own wrapper sees to."""

    @wraps(step)
    def stepped(self: Any, *args: Any, **options: Any) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return step(self, *args, **options)

    return stepped

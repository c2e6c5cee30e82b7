"""What transformers' own routers choose, and by how much: the experts that Megatron has to choose as well.

Legend: b windows, s tokens each, E experts, g groups, k experts a token.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tiny_reference import load_reference


@dataclass(frozen=True, kw_only=True)
class ReferencePass:
    """Of tokens [b, s] the log-likelihoods of targets [b, s], and by layer the choices of routers.

    `experts` [b, s, k] are by descending weight; `margins` [b, s] what separates the chosen experts from the others;
    `gaps` [b, s] the least difference between the weights of chosen ones.
    """

    nll: NDArray[np.float32]
    experts: dict[str, NDArray[np.int64]]
    margins: dict[str, NDArray[np.float32]]
    gaps: dict[str, NDArray[np.float32]]


@torch.no_grad()
def reference_pass(folder: Path, tokens: NDArray[np.int32]) -> ReferencePass:
    """Run transformers on windows [b, s + 1]."""
    words = torch.from_numpy(tokens.astype(np.int64))
    inputs, targets = words[:, :-1], words[:, 1:]
    model = load_reference(folder)
    with _routers_heard(model, inputs.shape) as heard:
        logits = model(inputs, use_cache=False).logits
    return ReferencePass(
        nll=nll_of(logits, targets),
        experts={name: found[0].numpy() for name, found in heard.items()},
        margins={name: found[1].numpy() for name, found in heard.items()},
        gaps={name: found[2].numpy() for name, found in heard.items()},
    )


def nll_of(logits: torch.Tensor, targets: torch.Tensor) -> NDArray[np.float32]:
    """Negative log-likelihoods [b, s] of targets under logits [b, s, v]."""
    nll: NDArray[np.float32] = -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0].numpy()
    return nll


@contextmanager
def _routers_heard(model: Any, shape: torch.Size) -> Iterator[dict[str, tuple[torch.Tensor, ...]]]:
    """Experts, margins and gaps of each router inside, by the name of its layer."""
    heard: dict[str, tuple[torch.Tensor, ...]] = {}
    hooks = []
    for number, layer in enumerate(model.model.layers):
        gate = getattr(layer.mlp, "gate", None)
        if gate is not None and type(gate).__name__.lower().endswith("topkrouter"):

            def hear(router: Any, _inputs: Any, out: Any, name: str = f"layer_{number}") -> None:
                logits, weights, experts = out
                weights, order = weights.sort(dim=-1, descending=True)
                gaps = -weights.diff(dim=-1).amax(dim=-1)
                found = (experts.gather(-1, order), _margin(router, logits), gaps)
                heard[name] = tuple(tensor.view(*shape, *tensor.shape[1:]) for tensor in found)

            hooks.append(gate.register_forward_hook(hear))
    assert hooks, "routers of transformers are called otherwise now"
    yield heard
    for hook in hooks:
        hook.remove()


def _margin(router: Any, logits: torch.Tensor) -> torch.Tensor:
    """By how much the last chosen expert, and of limited groups the last chosen group, beats the first one left out."""
    if not getattr(router, "num_group", None):
        return _between(logits.float().softmax(-1), router.top_k)
    scores = logits.sigmoid() + router.e_score_correction_bias  # [t, E]
    grouped = scores.unflatten(-1, (router.num_group, -1))  # [t, g, E/g]
    groups = grouped.topk(2, dim=-1).values.sum(-1)
    left_out = torch.ones_like(groups).scatter_(-1, groups.topk(router.topk_group, dim=-1).indices, 0).bool()
    allowed = grouped.masked_fill(left_out[..., None], -torch.inf).flatten(-2)
    return torch.minimum(_between(groups, router.topk_group), _between(allowed, router.top_k))


def _between(scores: torch.Tensor, chosen: int) -> torch.Tensor:
    """The difference of the last chosen and the first other score."""
    best = scores.topk(chosen + 1, dim=-1).values
    return best[:, -2] - best[:, -1]

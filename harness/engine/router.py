"""How groups of experts are scored when routing is limited to the best groups.

Megatron takes the sum of a group's best experts, as DeepSeek-V3 does; DeepSeek-V2 takes the best expert alone.
Legend: t tokens, E experts, g groups.
"""

import os
from typing import Any

import torch
from megatron.core.transformer.moe import moe_utils

from harness.errors import ConfigError

GROUP_SCORE = "MOE_HARNESS_GROUP_SCORE"
_SCORES = ("sum", "max")


def group_score() -> str:
    """What the environment asks for: `sum`, unless it says `max`."""
    asked = os.environ.get(GROUP_SCORE, "sum")
    if asked not in _SCORES:
        raise ConfigError(f"engine: found {GROUP_SCORE}={asked}; allowed: {' | '.join(_SCORES)}")
    return asked


def install() -> None:
    """Make Megatron's router score groups as the environment asks."""
    if group_score() == "max":
        patched: Any = moe_utils
        patched.group_limited_topk = topk_of_groups_with_best_expert


def topk_of_groups_with_best_expert(
    scores: torch.Tensor, topk: int, num_tokens: int, num_experts: int, num_groups: int, group_topk: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores [t, E] → the `topk` best scores and their experts, [t, topk] each, out of `group_topk` groups a token."""
    best = scores.view(num_tokens, num_groups, -1).amax(dim=-1)  # [t, g]
    chosen = torch.zeros_like(best, dtype=torch.bool).scatter_(1, best.topk(group_topk, dim=-1).indices, True)
    allowed = chosen.repeat_interleave(num_experts // num_groups, dim=1)  # [t, E]
    values, experts = scores.masked_fill(~allowed, -torch.inf).topk(topk, dim=-1)
    return values, experts

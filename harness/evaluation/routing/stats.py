"""The routing of an evaluation: the figures of each layer, and their means over the decoder's layers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.routing import balance
from harness.evaluation.routing.assignments import AssignmentCounts, count_assignments
from harness.evaluation.routing.co_activation import co_activation
from harness.evaluation.routing.noise import NOISE_RULE, TOO_FEW_RULE, UniformNoise, mean_max_vio
from harness.evaluation.routing.specialisation import VOCABULARY_RULE, shuffled, vocabulary_specialization

_MEANS = ("gini_coefficient", "coefficient_of_variation", "expert_utilization_rate")
_DECODER = "layer_"
"""What the names of the decoder's layers begin with; those of MTP layers do not."""

type Figures = dict[str, Any]


def routing_stats(
    experts: Mapping[str, NDArray[np.uint16]],
    token_ids: NDArray[np.int32],
    *,
    num_experts: int,
    batch_tokens: Sequence[int],
    groups: int | None,
    ep: int,
) -> Figures:
    """`layer_N` and `mtp_N`: figures of each router; `aggregate`: means over the decoder's, which leaves MTP out.

    `experts` of each layer are [T, k], by descending weight, 65535 where a token was dropped; `token_ids` [T] are of
    the same tokens, `batch_tokens` how many of them each micro-batch had. `groups` are those of group-limited routing,
    None without. `ep` ranks hold E/ep neighbouring experts each. ConfigError where either does not divide the experts;
    ValueError for arrays that do not fit together. A network without routers has no figures.
    """
    balance.refuse_uneven(num_experts, ep=ep, groups=groups)
    layers: Figures = {}
    for name, of in experts.items():
        if len(of) != len(token_ids):
            raise ValueError(f"{name}: experts of {len(of)} tokens, ids of {len(token_ids)}")
        try:
            counts = count_assignments(of, num_experts, batch_tokens)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        layers[name] = {
            **_balance(counts, groups=groups, ep=ep),
            "co_activation": co_activation(of, counts.per_expert),
            **_beside_noise(of, token_ids, counts, ep),
        }
    return {**layers, "aggregate": _aggregate(layers, len(token_ids))} if layers else {}


def _balance(counts: AssignmentCounts, *, groups: int | None, ep: int) -> Figures:
    """What the counts alone tell."""
    load = counts.per_expert
    return {
        "tokens_per_expert": load.tolist(),
        "mean_tokens_per_expert": float(load.mean()),
        "gini_coefficient": balance.gini(load),
        "coefficient_of_variation": balance.coefficient_of_variation(load),
        "expert_utilization_rate": balance.expert_utilization_rate(load),
        "dead_experts": int((load == 0).sum()),
        "dropped_assignments": counts.dropped,
        "max_over_mean": balance.max_over_mean(load),
        "max_vio": balance.max_vio(load),
        "max_vio_batch": balance.max_vio_per_batch(counts.per_batch),
        "entropy": balance.entropy(load),
        **({"tokens_per_group": balance.tokens_per_block(load, groups)} if groups else {}),
        "balancedness": balance.balancedness(load, ep),
    }


def _beside_noise(
    experts: NDArray[np.uint16], token_ids: NDArray[np.int32], counts: AssignmentCounts, ep: int
) -> Figures:
    """Vocabulary specialisation, the floors of all figures, and whether the balance is told from chance."""
    top_k, load = experts.shape[1], counts.per_expert
    vocabulary = vocabulary_specialization(experts[:, 0], token_ids, len(load))
    assigned = counts.per_batch.sum(axis=1)
    cv = balance.coefficient_of_variation(load)
    if cv is None:
        return {"vocabulary_specialization": vocabulary._asdict(), "noise": None, "too_few_tokens": True}
    noise = UniformNoise(len(load), top_k, int(assigned.sum()) / top_k)
    chance = vocabulary_specialization(shuffled(experts[:, 0]), token_ids, len(load))
    floors = {
        "cv": noise.cv,
        "cv_spread": noise.cv_spread,
        "gini": noise.gini,
        "expert_utilization_rate": noise.expert_utilization_rate,
        "dead_experts": (1 - noise.expert_utilization_rate) * len(load),
        "max_over_mean": 1 + noise.max_vio,
        "max_vio": noise.max_vio,
        "max_vio_batch_mean": mean_max_vio(len(load), top_k, (assigned[assigned > 0] / top_k).tolist()),
        "entropy": noise.entropy,
        "balancedness": noise.balancedness(ep),
        "vocabulary_specialization": {"mean": chance.mean, "repeated_mean": chance.repeated_mean},
    }
    return {
        "vocabulary_specialization": vocabulary._asdict(),
        "noise": floors,
        "too_few_tokens": not noise.is_told_from(cv),
    }


def _aggregate(layers: Figures, tokens: int) -> Figures:
    """Means over the decoder's layers, and the names of those that too few tokens went through."""
    decoder = {name: of for name, of in layers.items() if name.startswith(_DECODER)}
    return {
        **{f"avg_{metric}": _mean([of[metric] for of in decoder.values()]) for metric in _MEANS},
        "tokens": tokens,
        "layers": len(decoder),
        "too_few_tokens": [name for name, of in decoder.items() if of["too_few_tokens"]],
        "rules": [NOISE_RULE, TOO_FEW_RULE, VOCABULARY_RULE],
    }


def _mean(values: Sequence[float | None]) -> float | None:
    """Of the values that are known."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None

"""A pipeline layout whose fullest stage is as light as can be, e.g. `Et*3|(tt|)*29m|L` for DeepSeek-V3 over 32 stages.

Weights, in layers: a dense layer takes about half the time of an MoE layer, the loss with its logits that of one layer,
an MTP module that of a layer and a loss.
"""

import re
from itertools import groupby

DENSE, LAYER, LOSS, MTP = 0.5, 1.0, 1.0, 2.0


def balanced_layout(num_layers: int, stages: int, *, dense_layers: int = 0, mtp_layers: int = 0) -> str:
    """`--pipeline-model-parallel-layout` over `stages` virtual stages (PP·VPP), the first ones filled first.

    MTP modules stand together in one stage. ValueError where there are more stages than layers and loss to fill them.
    """
    units = ["t"] * num_layers + (["m" * mtp_layers] if mtp_layers else []) + ["L"]
    weights = [DENSE] * dense_layers + [LAYER] * (num_layers - dense_layers)
    weights += ([MTP * mtp_layers] if mtp_layers else []) + [LOSS]
    if stages > len(units):
        raise ValueError(f"{stages} pipeline stages, but only {len(units)} layers, MTP modules and loss to fill them")
    cap = max(weights)
    while (counts := _fill(weights, stages, cap)) is None:
        cap += DENSE  # the unit of all weights
    at, texts = 0, []
    for count in counts:
        texts.append("".join(units[at : at + count]))
        at += count
    return _short(["E" + texts[0], *texts[1:]])


def _fill(weights: list[float], stages: int, cap: float) -> list[int] | None:
    """How many units each stage takes if none may weigh more than `cap`, earlier stages fullest; None if too few."""
    counts, at = [], 0
    for stage in range(stages):
        most = len(weights) - at - (stages - stage - 1)  # leave one unit for each stage to come
        count, load = 0, 0.0
        while count < most and load + weights[at + count] <= cap:
            load += weights[at + count]
            count += 1
        if count == 0:
            return None
        counts.append(count)
        at += count
    return counts if at == len(weights) else None


def _short(stages: list[str]) -> str:
    """Runs written as Megatron reads them: letters `t*3`, stages `(tt|)*29`."""
    parts = []
    for text, run in groupby(stages):
        repeats = len(list(run))
        if repeats > 2 and set(text) == {"t"}:
            parts.append(f"({text}|)*{repeats}")
        else:
            parts.extend([re.sub(r"t{3,}", lambda found: f"t*{len(found[0])}", text) + "|"] * repeats)
    return "".join(parts).removesuffix("|")

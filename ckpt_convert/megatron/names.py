"""One name for each weight, whatever layer specification saved it.

Megatron's local layers keep a norm as a module of its own, Transformer Engine's fuse it into the linear layer that
follows; the name shown is Transformer Engine's.
"""

import re
from collections import defaultdict
from collections.abc import Iterable

LAYER = re.compile(r"(?P<layer>(?:decoder|mtp)\.layers\.\d+\.(?:transformer_layer\.)?)(?P<rest>.+)")
_MLA = "self_attention.linear_{}_up_proj"

_ALIASES = (  # saved as, shown as, in a layer that has this weight
    ("self_attention.q_layernorm.weight", _MLA.format("q") + ".layer_norm_weight", _MLA.format("q") + ".weight"),
    ("self_attention.kv_layernorm.weight", _MLA.format("kv") + ".layer_norm_weight", _MLA.format("kv") + ".weight"),
    ("input_layernorm.weight", "self_attention.linear_qkv.layer_norm_weight", "self_attention.linear_qkv.weight"),
    ("pre_mlp_layernorm.weight", "mlp.linear_fc1.layer_norm_weight", "mlp.linear_fc1.weight"),
    ("mlp.linear_fc1.layer_norm_weight", "pre_mlp_layernorm.weight", "mlp.router.weight"),
)


def universal_names(keys: Iterable[str]) -> dict[str, str]:
    """The universal name of each key. Two keys have one name where a norm was saved under both."""
    layers: dict[str, set[str]] = defaultdict(set)
    names = {key: key for key in keys}
    for key in names:
        if found := LAYER.fullmatch(key):
            layers[found["layer"]].add(found["rest"])
    for layer, rests in layers.items():
        for saved, shown, weight in _ALIASES:
            if saved in rests and weight in rests:
                names[layer + saved] = layer + shown
    return names

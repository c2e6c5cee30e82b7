"""The flags that decide which network a checkpoint's weights are of: one table, and the lists derived from it."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.config.megatron_args import ArgValue

MTP = "--mtp-num-layers"


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkFlag:
    """A flag, and what follows from it.

    `saved`: it is read from a checkpoint's arguments; `required`: without it the network cannot be known from them.
    `compared`: a job that loads the checkpoint must have it as the weights need it. `structural`: even where the
    checkpoint does not have it, since it gives the network another shape or another routing.
    `fixed`: Megatron's default where a family's config.json cannot choose the value freely; None where it can.
    """

    saved: bool = True
    required: bool = False
    compared: bool = True
    structural: bool = False
    fixed: ArgValue | None = None


_PLAIN = NetworkFlag()
_REQUIRED = NetworkFlag(required=True)
_STRUCTURAL = NetworkFlag(structural=True)
_SWITCH = NetworkFlag(structural=True, fixed=False)

_TABLE: Mapping[str, NetworkFlag] = {
    "--num-layers": _REQUIRED,
    "--hidden-size": _REQUIRED,
    "--ffn-hidden-size": _REQUIRED,
    "--num-attention-heads": _REQUIRED,
    "--kv-channels": _PLAIN,
    "--group-query-attention": _STRUCTURAL,
    "--num-query-groups": _STRUCTURAL,
    "--add-qkv-bias": _SWITCH,
    "--disable-bias-linear": NetworkFlag(fixed=False),
    "--add-bias-linear": NetworkFlag(saved=False, structural=True),
    "--swiglu": NetworkFlag(fixed=False),
    "--normalization": NetworkFlag(fixed="LayerNorm"),
    "--norm-epsilon": _REQUIRED,
    "--untie-embeddings-and-output-weights": _STRUCTURAL,
    "--qk-layernorm": _SWITCH,
    "--position-embedding-type": NetworkFlag(fixed="learned_absolute"),
    "--rotary-base": _PLAIN,
    "--rotary-percent": NetworkFlag(fixed="1"),
    # Positions count only where YaRN's length comes from them, which a rule looks after.
    "--max-position-embeddings": NetworkFlag(required=True, compared=False),
    "--multi-latent-attention": _STRUCTURAL,
    "--q-lora-rank": _STRUCTURAL,
    "--kv-lora-rank": _PLAIN,
    "--qk-head-dim": _PLAIN,
    "--qk-pos-emb-head-dim": _PLAIN,
    "--v-head-dim": _PLAIN,
    "--rope-type": _PLAIN,
    "--rotary-scaling-factor": _STRUCTURAL,
    "--mscale": _PLAIN,
    "--mscale-all-dim": _PLAIN,
    "--num-experts": NetworkFlag(required=True, structural=True),
    "--moe-layer-freq": NetworkFlag(fixed=""),
    "--moe-router-topk": _PLAIN,
    "--moe-ffn-hidden-size": _PLAIN,
    "--moe-shared-expert-intermediate-size": NetworkFlag(structural=True, fixed=""),
    "--moe-shared-expert-gate": _SWITCH,
    "--moe-router-score-function": NetworkFlag(structural=True, fixed="softmax"),
    "--moe-router-enable-expert-bias": _SWITCH,
    "--moe-router-pre-softmax": _SWITCH,
    "--moe-router-num-groups": _STRUCTURAL,
    "--moe-router-group-topk": _STRUCTURAL,
    "--moe-router-topk-scaling-factor": _STRUCTURAL,
    MTP: _STRUCTURAL,
    # A job pads its vocabulary as it likes.
    "--make-vocab-size-divisible-by": NetworkFlag(saved=False, compared=False),
}

NETWORK = tuple(_TABLE)
"""All of them."""

SAVED = tuple(name for name, flag in _TABLE.items() if flag.saved)
"""The flags that are read from the arguments saved in a checkpoint."""

REQUIRED = tuple(name for name, flag in _TABLE.items() if flag.required)
"""The flags without which the network cannot be known from the saved arguments."""

STRUCTURAL = tuple(name for name, flag in _TABLE.items() if flag.structural)
"""The flags that a job may not add to a network."""

NOT_COMPARED = frozenset(name for name, flag in _TABLE.items() if not flag.compared)
"""The flags in which a job may differ from the checkpoint that it loads."""

FIXED: Mapping[str, ArgValue] = {name: flag.fixed for name, flag in _TABLE.items() if flag.fixed is not None}
"""What a family's config.json cannot choose freely, and Megatron's default."""

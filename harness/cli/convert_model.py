"""Check that a checkpoint is of the model that the user exported as MODEL."""

import os

from ckpt_convert.families.model import Model
from harness.config.request import Request
from harness.config.roots import Roots
from harness.config.sources import resolve_request

_COMPARED = (
    *("--multi-latent-attention", "--moe-router-score-function", "--num-layers", "--hidden-size", "--num-experts"),
    *("--ffn-hidden-size", "--vocab-size"),
)


def other_model(model: Model) -> str | None:
    """Say how a checkpoint differs from the exported MODEL; None if it does not, or no MODEL is exported.

    ConfigError where MODEL is unknown.
    """
    name = os.environ.get("MODEL")
    if not name:
        return None
    arguments = (f"MODEL={name}", "PROXY=none", "DATASET=mock", "PRETRAIN=1")
    published = resolve_request(Request(arguments=arguments), Roots.standard()).megatron_args
    found = (
        f"{flag} {_shown(model.flags.get(flag))}, not {_shown(published.get(flag))}"
        for flag in _COMPARED
        if model.flags.get(flag) != published.get(flag)
    )
    differences = "; ".join(found)
    return f"this is not {name} as it was published: {differences}" if differences else None


def _shown(value: object) -> str:
    return "absent" if value is None else "on" if value is True else str(value)

"""Rotary embeddings in config.json, as published files (`rope_theta`, `rope_scaling`) and transformers 5 write them."""

from dataclasses import dataclass

from ckpt_convert.families.config_file import ConfigFile


@dataclass(frozen=True, kw_only=True)
class RopeParameters:
    """`kind` is `default` or `yarn` (or what Megatron cannot do); `base` is a whole number, as Megatron wants it.

    For YaRN: `factor` stretches the `original_length`, and the softmax scale grows by the `mscale`s.
    """

    kind: str
    base: str
    factor: float = 1.0
    original_length: int = 0
    mscale: float = 1.0
    mscale_all_dim: float = 0.0


def read_rope(config: ConfigFile, *, default_base: float = 10000.0) -> RopeParameters:
    """The rotary embedding that config.json describes. As in transformers, `rope_scaling` counts where both are."""
    newer = config.values.get("rope_parameters") is not None and not config.values.get("rope_scaling")
    scaling = config.inside("rope_parameters" if newer else "rope_scaling")
    base = (scaling if "rope_theta" in scaling.values else config).number("rope_theta", default_base)
    if base != int(base):
        config.problem(f"rope_theta is {base!r}; Megatron's --rotary-base takes a whole number")
    kind = str(scaling.values.get("rope_type") or scaling.values.get("type") or "default")
    for part in (config, scaling):
        part.must_be("partial_rotary_factor", 1, "all rotary dimensions turn in this architecture")
    if kind != "yarn":
        return RopeParameters(kind=kind, base=str(int(base)))
    length = "original_max_position_embeddings"
    config.must_be(length, scaling.values.get(length), "transformers would take it for the one of the rope parameters")
    return _yarn(scaling, str(int(base)))


def _yarn(scaling: ConfigFile, base: str) -> RopeParameters:
    """YaRN; without both mscales, Hugging Face scales as Megatron does with 1 and 0."""
    scaling.must_be("beta_fast", 32, "Megatron fixes it for latent attention")
    scaling.must_be("beta_slow", 1, "Megatron fixes it for latent attention")
    scaling.must_be("truncate", True, "Megatron rounds the range of YaRN")
    if scaling.values.get("attention_factor") is not None:
        scaling.problem("attention_factor is given; Megatron computes it from factor and the mscales; leave it out")
    mscale, all_dim = scaling.values.get("mscale"), scaling.values.get("mscale_all_dim")
    counts_alone = mscale is None if all_dim else mscale not in (None, 1)
    if counts_alone:
        scaling.problem("mscale and mscale_all_dim: one counts only with the other; allowed: both or none")
    return RopeParameters(
        kind="yarn",
        base=base,
        factor=scaling.number("factor"),
        original_length=scaling.whole("original_max_position_embeddings"),
        mscale=scaling.number("mscale", 1.0),
        mscale_all_dim=scaling.number("mscale_all_dim") if all_dim else 0.0,
    )

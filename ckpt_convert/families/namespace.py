"""Megatron's flags as the attributes of the argparse.Namespace that its checkpoints hold."""

from harness.arch.layer_pattern import moe_layer_pattern
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.releases import known, load
from harness.config.releases.catalogue import Option

# What every release reads from the arguments of a checkpoint before it looks at the weights.
_OF_THE_CHECKPOINT = {
    "tensor_model_parallel_size": 1,
    "pipeline_model_parallel_size": 1,
    "no_save_optim": True,
    "no_save_rng": True,
}


def namespace_of(flags: MegatronArgs) -> dict[str, object]:
    """The attributes that flags set, under the name of every release: numbers, switches, text and lists."""
    attributes: dict[str, object] = dict(_OF_THE_CHECKPOINT)
    for release in known():
        for flag, value in flags.items():
            option = load(release).option(flag)
            if option is not None:
                attributes[option.dest] = _typed(option, value, flags)
    return attributes


def _typed(option: Option, value: ArgValue, flags: MegatronArgs) -> object:
    """A flag's value as the release's own parser would make it."""
    if option.is_switch:
        return option.action != "store_false"
    text = value if isinstance(value, str) else ""
    if option.type == "moe_freq_type":
        return [int(is_moe) for is_moe in moe_layer_pattern(text, flags.integer("--num-layers"))]
    return {"int": int, "float": float}.get(option.type or "", str)(text)

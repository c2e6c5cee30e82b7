"""Which layers are mixtures of experts: the value of `--moe-layer-freq`."""

from harness.config.releases.layer_pattern import layer_pattern
from harness.errors import ConfigError


def moe_layer_pattern(value: str, num_layers: int) -> tuple[bool, ...]:
    """For each of `num_layers` layers, whether it is a mixture of experts.

    Megatron takes a whole number N (layers 0, N, 2N, … are MoE) or a list of 0 and 1, e.g. `([0]*3+[1]*58)`.
    """
    try:
        pattern = layer_pattern(value.strip())
    except ValueError:
        pattern = 0
    if isinstance(pattern, int) and pattern > 0:
        return tuple(index % pattern == 0 for index in range(num_layers))
    if isinstance(pattern, int) or not pattern or not set(pattern) <= {0, 1}:
        raise ConfigError(
            f"--moe-layer-freq {value!r} is neither a positive whole number nor a list of 0 and 1; "
            "write e.g. 1, [0,1,1] or ([0]*3+[1]*58)"
        )
    if len(pattern) != num_layers:
        raise ConfigError(f"--moe-layer-freq {value} describes {len(pattern)} layers, but --num-layers is {num_layers}")
    return tuple(bool(entry) for entry in pattern)

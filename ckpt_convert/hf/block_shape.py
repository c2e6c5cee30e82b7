"""Which blocks of an FP8 weight share a scale."""

from collections.abc import Mapping
from pathlib import Path

from ckpt_convert.fp8 import BlockShape
from harness.errors import ConfigError

_LARGEST = 2**20
_DEFAULT = BlockShape(rows=128, columns=128)


def block_shape_of(config: Mapping[str, object], path: Path) -> BlockShape:
    """`quantization_config.weight_block_size` of the config at `path`, by default DeepSeek's 128 × 128."""
    quantization = config.get("quantization_config") or {}
    if not isinstance(quantization, Mapping):
        raise ConfigError(f"{path}: quantization_config is {quantization!r:.80}; an object is needed")
    size = quantization.get("weight_block_size")
    if size is None:
        return _DEFAULT
    if (
        not isinstance(size, list)
        or len(size) != 2
        or not all(type(side) is int and 0 < side <= _LARGEST for side in size)
    ):
        raise ConfigError(
            f"{path}: quantization_config.weight_block_size is {size!r:.80}; two sizes are needed, as in [128, 128]"
        )
    return BlockShape(rows=size[0], columns=size[1])

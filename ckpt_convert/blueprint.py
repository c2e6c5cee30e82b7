"""What an output folder will hold, before a byte of it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ckpt_convert.assembly import Assembly
from harness.checkpoint.record import ConversionRecord


@dataclass(frozen=True, kw_only=True)
class MegatronBlueprint:
    """A `torch_dist` checkpoint.

    `aliases` gives a tensor further names over the same bytes, `objects` names the empty `_extra_state` entries, `args`
    are the attributes of the argparse.Namespace in common.pt, `record` is what moe-harness.json
    beside the weights says.
    """

    tensors: tuple[Assembly, ...]
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    objects: tuple[str, ...] = ()
    args: Mapping[str, object] = field(default_factory=dict)
    content_metadata: Mapping[str, object] = field(default_factory=dict)
    record: ConversionRecord | None = None


@dataclass(frozen=True, kw_only=True)
class HuggingFaceBlueprint:
    """Safetensors shards, their index and config.json."""

    tensors: tuple[Assembly, ...]
    config: Mapping[str, object]

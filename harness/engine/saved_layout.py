"""Find a model's weights in a checkpoint under the names, and in the stacks, that other releases and layer specs save.

Up to 0.12 Megatron stacks layers that are alike in one tensor, and later where the content metadata asks for that.
Transformer Engine's layers call a norm by the linear layer that it is fused with. Entries without numbers
(`_extra_state`) differ between all of them, and mean nothing to torch-native layers.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from megatron.core.dist_checkpointing.dict_utils import dict_list_map_outplace
from megatron.core.dist_checkpointing.mapping import (
    LocalNonpersistentObject,
    ShardedObject,
    ShardedTensor,
    ShardedTensorFactory,
)
from megatron.core.utils import unwrap_model

from harness.checkpoint.files import METADATA
from harness.checkpoint.torch_save.dcp_metadata import DcpMetadata, read_metadata

_LAYER = re.compile(r"(?P<block>decoder|mtp)\.layers\.(?P<number>\d+)\.(?P<rest>.+)")
_LATENT_NORM = ("self_attention.{}_layernorm.weight", "self_attention.linear_{}_up_proj.layer_norm_weight")
_NAMES_OF_A_NORM = (
    *((_LATENT_NORM[0].format(part), _LATENT_NORM[1].format(part)) for part in ("q", "kv")),
    ("input_layernorm.weight", "self_attention.linear_qkv.layer_norm_weight"),
    ("pre_mlp_layernorm.weight", "mlp.linear_fc1.layer_norm_weight"),
)


@contextmanager
def as_saved(model: list[Any], weights: Path) -> Iterator[None]:
    """Inside, the stages of `model` ask for their weights as the folder `weights` has them."""
    if not (weights / METADATA).exists():  # a legacy checkpoint has files by rank, and no names to look for
        yield
        return
    layout = SavedLayout(read_metadata(weights))
    stages = unwrap_model(model)
    for stage in stages:
        stage.sharded_state_dict = partial(_entries, stage, layout)
    try:
        yield
    finally:
        for stage in stages:
            del stage.sharded_state_dict


def _entries(stage: Any, layout: "SavedLayout", *, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Megatron's entries of a stage, a layer at a time, as the checkpoint has them."""
    apart = {**(metadata or {}), "non_homogeneous_layers": True}
    return layout.adapt(type(stage).sharded_state_dict(stage, metadata=apart))


class SavedLayout:
    """What a checkpoint has, by which entries of a model are renamed."""

    def __init__(self, metadata: DcpMetadata) -> None:
        """Of a checkpoint's listing."""
        self._shapes = {key: tensor.shape for key, tensor in metadata.tensors.items()}
        self._objects = metadata.objects

    def adapt(self, entries: dict[str, Any]) -> dict[str, Any]:
        """The entries of a model with layers apart; one that the checkpoint lacks by every name stays as it is."""
        return {name: self._adapted(entry) for name, entry in entries.items()}

    def _adapted(self, entry: Any) -> Any:
        if isinstance(entry, ShardedObject):
            return entry if entry.unique_key in self._objects else LocalNonpersistentObject(None)
        if isinstance(entry, ShardedTensorFactory):
            return replace(entry, build_fn=partial(self._built, entry.build_fn))
        return self._placed(entry) if isinstance(entry, ShardedTensor) else entry

    def _built(self, build: Any, *args: Any) -> Any:
        """What a factory makes of a tensor, adapted."""
        return dict_list_map_outplace(self._adapted, build(*args))

    def _placed(self, shard: ShardedTensor) -> ShardedTensor:
        """A shard under the first of its names that the checkpoint has, as a part of a stack if need be."""
        for key in _names(shard.key):
            if key in self._shapes:
                return replace(shard, key=key)
            layer = _LAYER.fullmatch(key)
            stack = f"{layer['block']}.layers.{layer['rest']}" if layer else ""
            if layer and stack in self._shapes:
                return _in_stack(shard, stack, int(layer["number"]), self._shapes[stack][0])
        return shard


def _names(key: str) -> Iterator[str]:
    """A key, and the other one of a norm."""
    yield key
    for pair in _NAMES_OF_A_NORM:
        for name, other in (pair, pair[::-1]):
            if key.endswith(f".{name}"):
                yield key.removesuffix(name) + other


def _in_stack(shard: ShardedTensor, key: str, number: int, layers: int) -> ShardedTensor:
    """A layer's shard as number `number` on a leading axis of `layers`."""
    return replace(
        shard,
        key=key,
        global_shape=(layers, *shard.global_shape),
        global_offset=(number, *shard.global_offset),
        axis_fragmentations=(layers, *(shard.axis_fragmentations or ())),
        prepend_axis_num=shard.prepend_axis_num + 1,
    )

"""The `.metadata` of a torch_dist folder: which tensors and objects there are, and where their chunks lie.

torch.distributed.checkpoint pickles a `Metadata`: of each tensor its properties, global shape and chunks (offset and
size on each axis), of each chunk a file, a byte and a length. What lies there is a whole torch.save zip. torch 2.15
gives a tensor's properties as a tuple of six, earlier ones of five; Megatron 0.15 has a subclass of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from harness.checkpoint.files import METADATA
from harness.checkpoint.torch_save.box import Box, StorageLocation
from harness.checkpoint.torch_save.restricted_pickle import DtypeName, Inert, collector_paused, read_pickle
from harness.errors import ConfigError

_MODULE = "torch.distributed.checkpoint.metadata"

_ROOTS = (f"{_MODULE}.Metadata", "megatron.core.dist_checkpointing.strategies.torch.MCoreMetadata")

type _Index = tuple[str, tuple[int, ...] | None]
"""The key of a chunk: of a tensor with its offset on each axis, of an object without."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkedTensor:
    """A tensor of the checkpoint; `dtype` is torch's name of the number format."""

    dtype: str
    shape: tuple[int, ...]
    boxes: tuple[Box, ...]


@dataclass(frozen=True, kw_only=True)
class DcpMetadata:
    """What `.metadata` lists: tensors and pickled objects by key."""

    tensors: Mapping[str, ChunkedTensor]
    objects: Mapping[str, StorageLocation]

    def end_of_files(self) -> dict[Path, int]:
        """The byte at which the last chunk of each file ends."""
        ends: dict[Path, int] = {}
        locations = (box.location for tensor in self.tensors.values() for box in tensor.boxes)
        for location in chain(locations, self.objects.values()):
            end = location.offset + (location.length or 0)
            if end > ends.get(location.path, -1):
                ends[location.path] = end
        return ends


def read_metadata(folder: Path) -> DcpMetadata:
    """Read the `.metadata` of an iteration's folder."""
    path = folder / METADATA
    root = read_pickle(path)
    if not isinstance(root, Inert) or root.global_name not in _ROOTS:
        raise ConfigError(f"{path}: not the metadata of torch.distributed.checkpoint; is this a torch_dist checkpoint?")
    try:
        with collector_paused():
            return _metadata(root.attributes, folder)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: damaged ({type(error).__name__}: {error}); copy the checkpoint again") from error


def _metadata(root: Mapping[str, Any], folder: Path) -> DcpMetadata:
    files = _Files(folder)
    locations: dict[_Index, StorageLocation] = {}
    for index, info in root["storage_data"].items():
        state, storage = index.state, info.state
        location = StorageLocation(
            path=files[storage["relative_path"]], offset=int(storage["offset"]), length=int(storage["length"])
        )
        locations[state["fqn"], state.get("offset")] = location
    tensors: dict[str, ChunkedTensor] = {}
    objects: dict[str, StorageLocation] = {}
    for key, entry in root["state_dict_metadata"].items():
        if entry.global_name == f"{_MODULE}.TensorStorageMetadata":
            tensors[key] = _tensor(key, entry.state, locations)
        else:
            objects[key] = locations[key, None]
    return DcpMetadata(tensors=tensors, objects=objects)


def _tensor(key: str, entry: Mapping[str, Any], locations: Mapping[_Index, StorageLocation]) -> ChunkedTensor:
    dtype = entry["properties"].state[0]
    if not isinstance(dtype, DtypeName):
        raise ValueError(f"{key} has the number format {dtype}")
    boxes = tuple(
        Box(offsets=chunk["offsets"], sizes=chunk["sizes"], location=locations[key, chunk["offsets"]])
        for chunk in (chunk.state for chunk in entry["chunks"])
    )
    shape = tuple(entry["size"])
    if not all(_lies_within(box, shape) for box in boxes):
        raise ValueError(f"{key} has a chunk outside its shape {shape}")
    return ChunkedTensor(dtype=dtype.name, shape=shape, boxes=boxes)


def _lies_within(box: Box, shape: tuple[int, ...]) -> bool:
    if not len(box.offsets) == len(box.sizes) == len(shape):
        return False
    return all(0 <= low <= low + size <= end for low, size, end in zip(box.offsets, box.sizes, shape, strict=True))


class _Files(dict[str, Path]):
    """The path of each file by its name: one object each, for there are many chunks a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __missing__(self, name: str) -> Path:
        if Path(name).name != name:
            raise ValueError(f"a chunk lies in {name}, outside the checkpoint's folder")
        self[name] = self._folder / name
        return self[name]

"""`.metadata` of torch.distributed.checkpoint: which tensors there are, in which chunks, and where each chunk lies.

Written in the form that torch 2.4 to 2.15 read: a tensor's properties are the five that all of them know, and fields
that later versions added are left to their defaults.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ckpt_convert.tensors import Dtype, TensorInfo
from ckpt_convert.writing.chunks import Chunk
from ckpt_convert.writing.pickles import Call, Global, Instance, Pairs, pickled

_METADATA = "torch.distributed.checkpoint.metadata"
_INDEX = Global(_METADATA, "MetadataIndex")
_STORAGE = Global("torch.distributed.checkpoint.filesystem", "_StorageInfo")
_CHUNK = Global(_METADATA, "ChunkStorageMetadata")
_OBJECT = Instance(Global(_METADATA, "BytesStorageMetadata"), {})


class StorageInfo(NamedTuple):
    """The bytes of a chunk or an object: file, offset, length."""

    file: str
    offset: int
    length: int


class PlacedTensor(NamedTuple):
    """A tensor and where each of its chunks lies."""

    info: TensorInfo
    chunks: tuple[Chunk, ...]
    storages: tuple[StorageInfo, ...]


def dcp_metadata(tensors: Mapping[str, PlacedTensor], objects: Iterable[str], object_storage: StorageInfo) -> bytes:
    """The file's content. All objects share the bytes at `object_storage`; tensors may share bytes, too."""
    names = (*tensors, *objects)
    described = {name: _tensor(stored) for name, stored in tensors.items()} | dict.fromkeys(objects, _OBJECT)
    state = {
        "state_dict_metadata": described,
        "planner_data": Pairs((name, (name,)) for name in names),
        "storage_data": Pairs(_storage(tensors, objects, object_storage)),
    }
    return pickled(Instance(Global(_METADATA, "Metadata"), state))


def _storage(
    tensors: Mapping[str, PlacedTensor], objects: Iterable[str], object_storage: StorageInfo
) -> Iterator[tuple[Instance, Instance]]:
    for name, stored in tensors.items():
        for chunk, storage in zip(stored.chunks, stored.storages, strict=True):
            yield Instance(_INDEX, {"fqn": name, "offset": _size(chunk.offsets)}), _storage_info(storage)
    for name in objects:
        yield Instance(_INDEX, {"fqn": name}), _storage_info(object_storage)


def _storage_info(storage: StorageInfo) -> Instance:
    return Instance(_STORAGE, {"relative_path": storage.file, "offset": storage.offset, "length": storage.length})


def _tensor(stored: PlacedTensor) -> Instance:
    chunks = [
        Instance(_CHUNK, {"offsets": _size(chunk.offsets), "sizes": _size(chunk.sizes)}) for chunk in stored.chunks
    ]
    state = {"properties": _properties(stored.info.dtype), "size": _size(stored.info.shape), "chunks": chunks}
    return Instance(Global(_METADATA, "TensorStorageMetadata"), state)


def _properties(dtype: Dtype) -> Instance:
    """dtype, layout, requires_grad, memory format (0: contiguous) and pin_memory."""
    layout = Call(Global("torch.serialization", "_get_layout"), ("torch.strided",))
    contiguous = Call(Global(_METADATA, "_MEM_FORMAT_ENCODING"), (0,))
    state = (Global("torch", dtype.torch_name), layout, False, contiguous, False)
    return Instance(Global(_METADATA, "TensorProperties"), state)


def _size(sizes: tuple[int, ...]) -> Call:
    return Call(Global("torch", "Size"), (sizes,))

"""The same checkpoints through torch: what it reads, and what older Megatron wrote, by torch's own classes."""

import copyreg
import pickle
import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.distributed import checkpoint
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

from ckpt_convert.tensors import Rows, TensorSource

type Cut = tuple[tuple[int, ...], ...]
"""The boxes of a tensor: a slice of each axis, written as (from, to)."""


def whole(source: TensorSource, name: str) -> Rows:
    """All rows of a tensor."""
    info = source.tensors[name]
    out = np.full((info.rows, info.columns), 1, info.dtype.numpy)
    source.read_rows(name, 0, out)
    return out


def rows_of(tensor: torch.Tensor) -> Rows:
    """A torch tensor as the converter's rows."""
    rows = tensor.reshape(-1, tensor.shape[-1] if tensor.dim() > 1 else 1)
    return rows.view(torch.uint16).numpy() if tensor.dtype == torch.bfloat16 else rows.numpy()


def read_by_torch(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor but optimizer states, by torch.distributed.checkpoint; layers that are stacked are taken apart."""
    reader = checkpoint.FileSystemReader(folder)
    entries = reader.read_metadata().state_dict_metadata
    state: dict[str, Any] = {
        key: torch.empty(entry.size, dtype=entry.properties.dtype)
        for key, entry in entries.items()
        if isinstance(entry, TensorStorageMetadata) and ".optimizer." not in key
    }
    checkpoint.load(state, storage_reader=reader, no_dist=True)
    apart: dict[str, torch.Tensor] = {}
    for key, tensor in state.items():
        stacked = re.fullmatch(r"decoder\.layers\.(\D.*)", key)
        parts = (
            {f"decoder.layers.{n}.{stacked[1]}": part for n, part in enumerate(tensor)} if stacked else {key: tensor}
        )
        apart.update(parts)
    return apart


class _OlderPickler(pickle.Pickler):
    """Pickles the properties of a tensor as torch before 2.15 did: a tuple of five."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, TensorProperties):
            return NotImplemented
        return copyreg.__newobj__, (TensorProperties,), value.__getstate__()[:5]  # type: ignore[attr-defined]


class TorchDist:
    """Writes a torch_dist folder chunk by chunk, as Megatron's writer does: a torch.save zip each, back to back."""

    def __init__(self, folder: Path, files: int = 2) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._streams = [(folder / f"__{rank}_0.distcp").open("wb") for rank in range(files)]
        self._entries: dict[str, Any] = {}
        self._places: dict[MetadataIndex, _StorageInfo] = {}

    def tensor(self, key: str, tensor: torch.Tensor, cuts: Sequence[Cut] = ()) -> None:
        """A tensor, in one chunk or cut into boxes."""
        boxes = cuts or [tuple((0, size) for size in tensor.shape)]
        chunks = []
        for number, box in enumerate(boxes):
            offsets = torch.Size(low for low, _ in box)
            chunks.append(ChunkStorageMetadata(offsets=offsets, sizes=torch.Size(high - low for low, high in box)))
            part = tensor[tuple(slice(*span) for span in box)].clone()
            self._write(MetadataIndex(key, offsets, number), saved(part), number)
        properties = TensorProperties(dtype=tensor.dtype)
        self._entries[key] = TensorStorageMetadata(properties=properties, size=tensor.shape, chunks=chunks)

    def object(self, key: str, content: Any) -> None:
        """A pickled object, such as an `_extra_state`."""
        self._entries[key] = BytesStorageMetadata()
        self._write(MetadataIndex(key), saved([content]), 0)

    def close(self, *, common: Mapping[str, Any] | None = None, root: type[Metadata] = Metadata) -> Path:
        """Write `.metadata`, `metadata.json` and common.pt."""
        for stream in self._streams:
            stream.close()
        metadata = root(state_dict_metadata=self._entries, storage_data=self._places)
        with (self.folder / ".metadata").open("wb") as stream:
            _OlderPickler(stream).dump(metadata)
        (self.folder / "metadata.json").write_text('{"sharded_backend": "torch_dist", "sharded_backend_version": 1}')
        if common is not None:
            torch.save(dict(common), self.folder / "common.pt")
        return self.folder

    def _write(self, index: MetadataIndex, content: bytes, number: int) -> None:
        stream = self._streams[number % len(self._streams)]
        path = Path(stream.name).name
        self._places[index] = _StorageInfo(relative_path=path, offset=stream.tell(), length=len(content))
        stream.write(content)


def saved(content: Any) -> bytes:
    """What torch.save writes."""
    stream = BytesIO()
    torch.save(content, stream)
    return stream.getvalue()

"""The files of a `torch_dist` checkpoint.

release/__0_N.distcp hold the weights, release/.metadata says where each of them lies; Megatron finds the folder by the
tracker beside it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from ckpt_convert.blueprint import MegatronBlueprint
from ckpt_convert.tensors import TensorInfo
from ckpt_convert.writing.chunks import Chunk, chunks
from ckpt_convert.writing.dcp_metadata import PlacedTensor, StorageInfo, dcp_metadata
from ckpt_convert.writing.files import FilePart, OutputFile, TensorSlice, literal_file
from ckpt_convert.writing.pickles import Global, Instance
from ckpt_convert.writing.torch_zip import ALIGNMENT, object_archive
from harness.checkpoint.files import COMMON, FORMAT, METADATA, RECORD, RELEASE, TRACKER

_FILE_BYTES = 512 * 2**20
_LEAST_FILE_BYTES = 128 * 2**20
_MANY_FILES = 64


def torch_dist_files(blueprint: MegatronBlueprint) -> tuple[OutputFile, ...]:
    """Every file of the iteration's folder but integrity.json: the weights, then what makes them a checkpoint."""
    weights = _Weights(limit_bytes=_file_bytes(sum(tensor.info.size_bytes for tensor in blueprint.tensors)))
    stored = {tensor.name: weights.add_tensor(tensor.name, tensor.info) for tensor in blueprint.tensors}
    shared = weights.add_object([None])
    aliases = {alias: stored[name] for name, names in blueprint.aliases.items() for alias in names}
    metadata = dcp_metadata(stored | aliases, blueprint.objects, shared)
    return (*weights.files(), *_described(blueprint, metadata))


def tracker() -> OutputFile:
    """The tracker, which Megatron reads first: it says that the checkpoint is a release, not an iteration."""
    return literal_file(TRACKER, RELEASE.encode())


def _described(blueprint: MegatronBlueprint, metadata: bytes) -> Iterator[OutputFile]:
    """The files without weights. metadata.json comes last: without it Megatron takes the folder for no checkpoint."""
    yield literal_file(f"{RELEASE}/{METADATA}", metadata)
    yield literal_file(f"{RELEASE}/{COMMON}", _common(blueprint))
    if blueprint.record:
        yield literal_file(f"{RELEASE}/{RECORD}", _json(blueprint.record.document()))
    backends = {"sharded_backend": "torch_dist", "common_backend": "torch"}
    versions = {"sharded_backend_version": 1, "common_backend_version": 1}
    yield literal_file(f"{RELEASE}/{FORMAT}", _json(backends | versions))


def _common(blueprint: MegatronBlueprint) -> bytes:
    """What is not sharded: the arguments of the training that saved it, as Megatron expects them."""
    state: dict[str, object] = {
        "args": Instance(Global("argparse", "Namespace"), dict(blueprint.args)),
        "checkpoint_version": 3.0,
        "iteration": 0,
    }
    if blueprint.content_metadata:
        state["content_metadata"] = dict(blueprint.content_metadata)
    return object_archive(state)


def _json(document: object) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"


def _file_bytes(total_bytes: int) -> int:
    """The largest size of a file of weights: large, but with enough files to keep all threads busy to the end."""
    return min(max(total_bytes // _MANY_FILES, _LEAST_FILE_BYTES), _FILE_BYTES)


@dataclass(kw_only=True)
class _Weights:
    """The .distcp files: chunks one after another, each at a multiple of 64 bytes, a new file where one is full."""

    limit_bytes: int
    _pieces: list[tuple[int, FilePart]] = field(default_factory=list)
    _number: int = 0
    _size_bytes: int = 0

    def add_tensor(self, name: str, info: TensorInfo) -> PlacedTensor:
        """Append the tensor's chunks."""
        cuts = tuple(chunks(info))
        return PlacedTensor(info, cuts, tuple(self._add(_slice(name, info, chunk)) for chunk in cuts))

    def add_object(self, value: object) -> StorageInfo:
        """Append an object without tensors."""
        return self._add(object_archive(value))

    def files(self) -> Iterator[OutputFile]:
        """The files with what was appended."""
        for number, group in groupby(self._pieces, key=lambda numbered: numbered[0]):
            pieces = tuple(piece for _, piece in group)
            size = sum(_size_bytes(piece) for piece in pieces)
            yield OutputFile(name=f"{RELEASE}/{_file_name(number)}", size_bytes=size, pieces=pieces)

    def _add(self, piece: FilePart) -> StorageInfo:
        length = _size_bytes(piece)
        if self._size_bytes and self._size_bytes + length > self.limit_bytes:
            self._number, self._size_bytes = self._number + 1, 0
        padding = -length % ALIGNMENT
        storage = StorageInfo(_file_name(self._number), self._size_bytes, length)
        self._pieces += [(self._number, piece), (self._number, bytes(padding))]
        self._size_bytes += length + padding
        return storage


def _slice(name: str, info: TensorInfo, chunk: Chunk) -> TensorSlice:
    return TensorSlice(
        name=name, first=chunk.first_row, info=TensorInfo(dtype=info.dtype, shape=chunk.sizes), framed=True
    )


def _size_bytes(piece: FilePart) -> int:
    return piece.size_bytes if isinstance(piece, TensorSlice) else len(piece)


def _file_name(number: int) -> str:
    return f"__0_{number}.distcp"

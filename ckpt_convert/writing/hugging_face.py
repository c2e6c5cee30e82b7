"""The files of a Hugging Face checkpoint: safetensors, their index where there are several, and config.json."""

import json
from collections.abc import Iterator, Sequence

from ckpt_convert.assembly import Assembly
from ckpt_convert.blueprint import HuggingFaceBlueprint
from ckpt_convert.hf.safetensors import render_header
from ckpt_convert.hf.shards import INDEX, SINGLE
from ckpt_convert.writing.files import OutputFile, TensorSlice, literal_file
from harness.checkpoint.files import CONFIG

_SHARD_BYTES = 4 * 2**30
_METADATA = {"format": "pt"}  # transformers refuses files that do not say which framework they are for


def hugging_face_files(blueprint: HuggingFaceBlueprint, shard_bytes: int = _SHARD_BYTES) -> tuple[OutputFile, ...]:
    """Every file but integrity.json, weights first. A shard holds at most `shard_bytes` of tensors, or one tensor."""
    shards = list(_shards(blueprint.tensors, shard_bytes))
    names = _names(len(shards))
    files = [_shard(name, tensors) for name, tensors in zip(names, shards, strict=True)]
    if len(shards) > 1:
        files.append(_index(names, shards))
    return (*files, literal_file(CONFIG, _json(blueprint.config)))


def _shards(tensors: Sequence[Assembly], shard_bytes: int) -> Iterator[list[Assembly]]:
    """The tensors in order, a new shard where the next one does not fit.

    Within a shard wider number formats come first: every tensor is then aligned, which torch asks for.
    """
    shard: list[Assembly] = []
    size = 0
    for tensor in tensors:
        if shard and size + tensor.info.size_bytes > shard_bytes:
            yield _aligned(shard)
            shard, size = [], 0
        shard.append(tensor)
        size += tensor.info.size_bytes
    yield _aligned(shard)


def _aligned(shard: list[Assembly]) -> list[Assembly]:
    return sorted(shard, key=lambda tensor: -tensor.dtype.itemsize)


def _names(count: int) -> list[str]:
    if count == 1:
        return [SINGLE]
    return [f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]


def _shard(name: str, tensors: Sequence[Assembly]) -> OutputFile:
    infos = {tensor.name: tensor.info for tensor in tensors}
    header = render_header(infos, _METADATA)
    slices = (TensorSlice(name=tensor, first=0, info=info, framed=False) for tensor, info in infos.items())
    size = len(header) + sum(info.size_bytes for info in infos.values())
    return OutputFile(name=name, size_bytes=size, pieces=(header, *slices))


def _index(names: Sequence[str], shards: Sequence[Sequence[Assembly]]) -> OutputFile:
    total = sum(tensor.info.size_bytes for shard in shards for tensor in shard)
    where = {tensor.name: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
    document = {"metadata": {"total_size": total}, "weight_map": where}
    return literal_file(INDEX, _json(document))


def _json(document: object) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"

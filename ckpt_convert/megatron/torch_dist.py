"""A torch_dist checkpoint as Megatron-Core 0.12 to 0.19 save it, at any parallel mapping, with or without optimizer."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ckpt_convert.megatron.boxes import BoxedTensor
from ckpt_convert.megatron.folder import MegatronFolder
from ckpt_convert.megatron.layout import universal
from ckpt_convert.tensors import BY_TORCH_NAME
from harness.checkpoint.files import METADATA, CheckpointFormat
from harness.checkpoint.record import read_record
from harness.checkpoint.saved_arguments import read_common, saved_arguments
from harness.checkpoint.torch_save.dcp_metadata import ChunkedTensor, DcpMetadata, read_metadata
from harness.errors import ConfigError

_NO_WEIGHT = re.compile(
    r"(chained_\d+\.)?optimizer\..*|.*\._extra_state(/.*)?|(rng_state|rerun_state_machine_state)\b.*"
)


def open_torch_dist(folder: Path, iteration: int | None) -> MegatronFolder:
    """Open the folder of an iteration. Only .metadata and the run's arguments are read, and sizes of files checked."""
    metadata = read_metadata(folder)
    if damaged := list(_damaged_files(metadata)):
        raise ConfigError(damaged)
    return described(folder, iteration, metadata)


def _damaged_files(metadata: DcpMetadata) -> Iterator[str]:
    """The files that are not there, or end before their last chunk does."""
    for path, end in sorted(metadata.end_of_files().items()):
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            yield f"{path}: missing, though .metadata names it; copy the checkpoint again"
        elif size < end:
            yield f"{path}: {size} bytes, and .metadata says {end}: cut short; copy the checkpoint again"


def described(folder: Path, iteration: int | None, metadata: DcpMetadata) -> MegatronFolder:
    """The folder of an iteration whose .metadata has been read."""
    weights = {key: tensor for key, tensor in metadata.tensors.items() if _is_weight(key, tensor)}
    boxed = universal(_boxed(weights, folder), str(folder))
    if not boxed:
        raise ConfigError(f"{folder}: holds no weights, only {len(metadata.tensors)} states of an optimizer")
    ends = metadata.end_of_files()
    return MegatronFolder(
        folder=folder,
        format=CheckpointFormat.TORCH_DIST,
        args=saved_arguments(read_common(folder, metadata)),
        iteration=iteration,
        record=read_record(folder),
        boxed=boxed,
        skipped=tuple(sorted((metadata.tensors.keys() - weights.keys()) | metadata.objects.keys())),
        files=(folder / METADATA, *sorted(ends)),
    )


def _is_weight(key: str, tensor: ChunkedTensor) -> bool:
    """Whether a tensor is a parameter of the model, or a buffer of numbers with a fraction."""
    counts = tensor.dtype.startswith("int") or tensor.dtype == "bool"
    return not counts and not _NO_WEIGHT.fullmatch(key)


def _boxed(weights: Mapping[str, ChunkedTensor], folder: Path) -> dict[str, BoxedTensor]:
    unreadable = [
        f"{folder}: {key} is {tensor.dtype}; readable are {', '.join(BY_TORCH_NAME)}. Save it again without "
        "--fp8-param-gather, so that Megatron keeps the weights in bf16"
        for key, tensor in weights.items()
        if tensor.dtype not in BY_TORCH_NAME
    ]
    if unreadable:
        raise ConfigError(unreadable)
    return {
        key: BoxedTensor(dtype=BY_TORCH_NAME[tensor.dtype], shape=tensor.shape, boxes=tensor.boxes)
        for key, tensor in weights.items()
    }

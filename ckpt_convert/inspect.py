"""What a checkpoint folder is, from names, sizes and headers: no weight is read, torch is not needed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path

from ckpt_convert.families.family import family_of_config
from ckpt_convert.families.model import model_of_megatron
from ckpt_convert.hf.folder import open_hugging_face
from ckpt_convert.megatron.damage import damage, without_crc
from ckpt_convert.megatron.folder import MegatronFolder
from ckpt_convert.megatron.legacy import open_legacy
from ckpt_convert.megatron.release import guess_release
from ckpt_convert.megatron.torch_dist import described
from ckpt_convert.tensors import TensorInfo
from ckpt_convert.writing.journal import Journal
from ckpt_convert.writing.partial import JOURNAL, partial_folder
from harness.checkpoint.files import CONFIG, TRACKER, CheckpointFormat
from harness.checkpoint.folder import Checkpoint, find_checkpoint, is_hugging_face, is_iteration_folder, is_legacy
from harness.checkpoint.torch_save.dcp_metadata import read_metadata
from harness.checkpoint.torch_save.torch_file import read_torch_file
from harness.errors import ConfigError, HarnessError

INTERRUPTED, UNKNOWN = "interrupted conversion", "unknown"
_SIZES = {
    "tp": "tensor_model_parallel_size",
    "pp": "pipeline_model_parallel_size",
    "vpp": "virtual_pipeline_model_parallel_size",
    "ep": "expert_model_parallel_size",
    "etp": "expert_tensor_parallel_size",
    "cp": "context_parallel_size",
    "world": "world_size",
}


@dataclass(frozen=True, kw_only=True)
class WeightsSummary:
    """How much a checkpoint holds without optimizer states; `dtypes` counts tensors by number format."""

    tensors: int
    parameters: int
    size_bytes: int
    dtypes: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a folder is. `folder` is the one that holds the weights; None is what nothing in it says.

    `release` and `release_how` name the Megatron release and how it was found, `mapping` the parallel mapping under
    which it was saved, `finished_files` and `finished_bytes` are those of an interrupted conversion.
    """

    folder: Path
    format: str
    weights: WeightsSummary | None = None
    family: str | None = None
    release: str | None = None
    release_how: str | None = None
    mapping: Mapping[str, int] = field(default_factory=dict)
    step: int | None = None
    has_optimizer: bool = False
    finished_files: int | None = None
    finished_bytes: int | None = None
    damage: tuple[str, ...] = ()


def inspect(folder: Path) -> Inspection:
    """What `folder` is; damage is part of the answer. ConfigError where there is no such folder."""
    partial = folder if (folder / JOURNAL).exists() else partial_folder(folder)
    if (partial / JOURNAL).exists() and (partial == folder or not folder.exists()):
        return _interrupted(partial)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder")
    if is_hugging_face(folder):
        return _hugging_face(folder)
    if (folder / TRACKER).exists() or is_iteration_folder(folder):
        return _megatron(folder)
    found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:6]) or "nothing"
    missing = f"neither {CONFIG}, *.safetensors, {TRACKER} nor weights of Megatron are in it"
    return Inspection(folder=folder, format=UNKNOWN, damage=(f"{folder}: no checkpoint: {missing}; found: {found}",))


def _interrupted(folder: Path) -> Inspection:
    journal = Journal(folder / JOURNAL)
    finished = journal.finished.values()
    return Inspection(
        folder=folder,
        format=INTERRUPTED,
        finished_files=len(finished),
        finished_bytes=sum(file.size_bytes for file in finished),
    )


def _hugging_face(folder: Path) -> Inspection:
    try:
        source = open_hugging_face(folder)
    except HarnessError as error:
        return _damaged(folder, CheckpointFormat.HUGGING_FACE, error)
    return Inspection(
        folder=folder,
        format=CheckpointFormat.HUGGING_FACE,
        weights=_weights(source.tensors),
        family=_family_of_config(source.config),
    )


def _megatron(folder: Path) -> Inspection:
    try:
        found = find_checkpoint(folder)
    except HarnessError as error:
        legacy = is_legacy(folder)
        return _damaged(folder, CheckpointFormat.LEGACY if legacy else CheckpointFormat.TORCH_DIST, error)
    return _legacy(found) if found.format is CheckpointFormat.LEGACY else _torch_dist(found)


def _torch_dist(checkpoint: Checkpoint) -> Inspection:
    folder = checkpoint.folder
    try:
        metadata = read_metadata(folder)
    except HarnessError as error:
        return _damaged(folder, checkpoint.format, error)
    try:
        found = _opened(described(folder, checkpoint.step, metadata))
    except HarnessError as error:
        found = _damaged(folder, checkpoint.format, error)
    return replace(found, damage=(*found.damage, *damage(folder, metadata)))


def _legacy(checkpoint: Checkpoint) -> Inspection:
    try:
        source = open_legacy(checkpoint.folder, checkpoint.step)
        flaws = [flaw for file in source.files for flaw in without_crc(file, read_torch_file(file).entries)]
    except HarnessError as error:
        return _damaged(checkpoint.folder, checkpoint.format, error)
    return replace(_opened(source), damage=tuple(flaws))


def _damaged(folder: Path, format: str, error: HarnessError) -> Inspection:
    """The inspection of a folder that cannot be opened."""
    problems = error.problems if isinstance(error, ConfigError) else (str(error),)
    return Inspection(folder=folder, format=format, damage=problems)


def _opened(source: MegatronFolder) -> Inspection:
    release = guess_release(source.args, ours=source.record is not None)
    return Inspection(
        folder=source.folder,
        format=source.format,
        weights=_weights(source.tensors),
        family=_family(source),
        release=release.number,
        release_how=release.how,
        mapping={name: size for name, key in _SIZES.items() if isinstance(size := source.args.get(key), int)},
        step=source.iteration,
        has_optimizer=any("optimizer" in name for name in source.skipped),
    )


def _family_of_config(config: Mapping[str, object]) -> str | None:
    """The family, or the architecture where it cannot be converted."""
    try:
        return family_of_config(config, CONFIG)
    except ConfigError:
        architectures = config.get("architectures")
        return str(architectures[0]) if isinstance(architectures, list) and architectures else None


def _family(source: MegatronFolder) -> str | None:
    try:
        return model_of_megatron(source.args, source.tensors, str(source.folder), source.record).family
    except ConfigError:
        return None


def _weights(tensors: Mapping[str, TensorInfo]) -> WeightsSummary:
    return WeightsSummary(
        tensors=len(tensors),
        parameters=sum(prod(info.shape) for info in tensors.values()),
        size_bytes=sum(info.size_bytes for info in tensors.values()),
        dtypes=Counter(info.dtype.value for info in tensors.values()),
    )

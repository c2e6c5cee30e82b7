"""A Hugging Face checkpoint folder as a source of tensors."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ckpt_convert.fp8 import SCALE_SUFFIX
from ckpt_convert.hf.block_shape import block_shape_of
from ckpt_convert.hf.safetensors import Header
from ckpt_convert.hf.shards import read_shards
from ckpt_convert.reading.folder import CheckpointFolder
from ckpt_convert.reading.json_file import read_json_file
from ckpt_convert.tensors import Rows
from harness.checkpoint.files import CONFIG, CheckpointFormat
from harness.errors import ConfigError


class HuggingFaceFolder(CheckpointFolder):
    """config.json and the tensors of all safetensors files."""

    format = CheckpointFormat.HUGGING_FACE

    def __init__(self, folder: Path, config: Mapping[str, object], shards: tuple[Header, ...]) -> None:
        tensors = {name: placed.info for shard in shards for name, placed in shard.tensors.items()}
        super().__init__(folder, tensors, tuple(shard.path for shard in shards))
        self.config = config
        self.block_shape = block_shape_of(config, folder / CONFIG)
        self._places = {name: (shard.path, placed.offset) for shard in shards for name, placed in shard.tensors.items()}
        self.others = {name: dtype for shard in shards for name, dtype in shard.others.items()}
        """Tensors of formats that no weight has, and those formats."""
        self._shards = shards

    def scales(self, name: str) -> NDArray[np.float32]:
        """(block rows, block columns) factors of an FP8 tensor's blocks."""
        info = self.tensors[name + SCALE_SUFFIX]
        out = np.empty((info.rows, info.columns), info.dtype.numpy)
        self.read_rows(name + SCALE_SUFFIX, 0, out)
        return out

    def fingerprint(self) -> str:
        """SHA-256 over the config, and names, sizes, times and headers of files."""
        parts = [repr(sorted(self.config.items()))]
        parts += [f"{shard.path.name} {shard.size_bytes} {shard.mtime_ns} {shard.sha256}" for shard in self._shards]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _read_rows(self, name: str, first: int, out: Rows) -> None:
        path, offset = self._places[name]
        offset += first * out.shape[1] * out.itemsize
        self._open_files.read(path, offset, out, f"{path}: tensor {name!r}")


def open_hugging_face(folder: Path) -> HuggingFaceFolder:
    """Read config.json and every header of the folder; ConfigError with everything that is wrong."""
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: not a folder; give the folder of config.json and the safetensors files "
            "(`hf download OWNER/MODEL --local-dir FOLDER` makes one)"
        )
    problems: list[str] = []
    config: Mapping[str, object] = {}
    shards: tuple[Header, ...] = ()
    try:
        config = _config(folder)
    except ConfigError as error:
        problems.extend(error.problems)
    try:
        shards = read_shards(folder)
    except ConfigError as error:
        problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    return HuggingFaceFolder(folder, config, shards)


def _config(folder: Path) -> Mapping[str, object]:
    """config.json, checked as far as this package reads it itself."""
    path = folder / CONFIG
    if not path.exists() and not path.is_symlink():
        snapshots = sorted(folder.glob(f"snapshots/*/{CONFIG}"))
        hint = f"give {snapshots[-1].parent}" if snapshots else "download it beside the weights"
        raise ConfigError(f"{path}: no such file; it says what the model is: {hint}")
    config = read_json_file(path)
    block_shape_of(config, path)
    return config

"""A Hugging Face checkpoint folder as a source of tensors."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ckpt_convert.fp8 import SCALE_SUFFIX
from ckpt_convert.hf.block_shape import block_shape_of
from ckpt_convert.hf.json_file import read_json_file
from ckpt_convert.hf.open_files import OpenFiles
from ckpt_convert.hf.safetensors import Header
from ckpt_convert.hf.shards import read_shards
from ckpt_convert.tensors import Rows, TensorInfo
from harness.errors import ConfigError, EnvironmentProblem

CONFIG = "config.json"


class HuggingFaceFolder:
    """config.json and the tensors of all safetensors files; rows are read by any number of threads at once."""

    def __init__(self, folder: Path, config: Mapping[str, object], shards: tuple[Header, ...]) -> None:
        self.folder = folder
        self.config = config
        self.block_shape = block_shape_of(config, folder / CONFIG)
        self.tensors: Mapping[str, TensorInfo] = {
            name: placed.info for shard in shards for name, placed in shard.tensors.items()
        }
        self.files = tuple(shard.path for shard in shards)
        self._places = {name: (shard.path, placed.offset) for shard in shards for name, placed in shard.tensors.items()}
        self._shards = shards
        self._open_files = OpenFiles()

    def read_rows(self, name: str, first: int, out: Rows) -> None:
        """Fill `out` (count, columns), C-contiguous, with the tensor's rows from `first` on.

        Raises ConfigError where the file has become shorter than it was, EnvironmentProblem where it cannot be read.
        """
        info = self.tensors[name]
        if out.dtype != info.dtype.numpy or out.shape[1:] != (info.columns,) or not 0 <= first <= info.rows - len(out):
            raise ValueError(f"{name}: rows {first} + {out.shape} of {out.dtype} are not rows of {info}")
        if out.size:
            path, offset = self._places[name]
            offset += first * info.columns * info.dtype.itemsize
            with self._open_files.descriptor(path) as descriptor:
                _read_exactly(descriptor, memoryview(out).cast("B"), offset, f"{path}: tensor {name!r}")

    def scales(self, name: str) -> NDArray[np.float32]:
        """(block rows, block columns) factors of an FP8 tensor's blocks."""
        info = self.tensors[name + SCALE_SUFFIX]
        out = np.empty((info.rows, info.columns), info.dtype.numpy)
        self.read_rows(name + SCALE_SUFFIX, 0, out)
        return out

    def fingerprint(self) -> str:
        """Another one when a file is replaced: sha256 over the config, and names, sizes, times and headers of files."""
        parts = [repr(sorted(self.config.items()))]
        parts += [f"{shard.path.name} {shard.size_bytes} {shard.mtime_ns} {shard.sha256}" for shard in self._shards]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def close(self) -> None:
        """Close the files."""
        self._open_files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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


def _read_exactly(descriptor: int, out: memoryview, offset: int, where: str) -> None:
    """Fill `out` from the file's byte `offset` on."""
    done = 0
    while done < len(out):
        try:
            count = os.preadv(descriptor, [out[done:]], offset + done)
        except OSError as error:
            raise EnvironmentProblem(f"{where}: cannot be read at byte {offset + done}: {error.strerror}") from error
        if count == 0:
            raise ConfigError(
                f"{where}: the file ends at byte {offset + done}, inside the tensor: truncated since it was opened"
            )
        done += count

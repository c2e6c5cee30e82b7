"""A Megatron checkpoint of whatever format, as a source of tensors under universal keys."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ckpt_convert.megatron.boxes import BoxedTensor
from ckpt_convert.megatron.rows import RowReader
from ckpt_convert.tensors import Rows, TensorInfo


class MegatronFolder:
    """The folder of one iteration, open for reading.

    `args` are the arguments of the run that saved it, `iteration` is None for a release, `record` is moe-harness.json
    where moe-harness wrote the checkpoint, `skipped` names what is no weight.
    """

    def __init__(
        self,
        *,
        folder: Path,
        format: str,
        args: Mapping[str, Any],
        iteration: int | None,
        record: Mapping[str, Any] | None,
        boxed: Mapping[str, BoxedTensor],
        skipped: tuple[str, ...],
        files: tuple[Path, ...],
    ) -> None:
        self.folder = folder
        self.format = format
        self.args = args
        self.iteration = iteration
        self.record = record
        self.skipped = skipped
        self.files = files
        self._boxed = boxed
        self._tensors = {name: tensor.info for name, tensor in boxed.items()}
        self._reader = RowReader()

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Every weight, by universal key."""
        return self._tensors

    def read_rows(self, name: str, first: int, out: Rows) -> None:
        """Fill `out` (count, columns) with the rows of a tensor from `first` on."""
        info = self._tensors[name]
        if out.dtype != info.dtype.numpy or out.shape[1:] != (info.columns,) or not 0 <= first <= info.rows - len(out):
            raise ValueError(f"{name}: rows {first} + {out.shape} of {out.dtype} are not rows of {info}")
        self._reader.read(name, self._boxed[name], first, out)

    def fingerprint(self) -> str:
        """A text that changes when a file is changed: of all names, sizes and times of the last change."""
        digest = hashlib.sha256()
        for path in self.files:
            status = path.stat()
            digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def close(self) -> None:
        """Close all files."""
        self._reader.close()

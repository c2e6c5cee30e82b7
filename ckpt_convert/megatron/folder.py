"""A Megatron checkpoint of whatever format, as a source of tensors under universal keys."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ckpt_convert.megatron.boxes import BoxedTensor
from ckpt_convert.megatron.rows import RowReader
from ckpt_convert.reading.folder import CheckpointFolder
from ckpt_convert.tensors import Rows
from harness.checkpoint.files import CheckpointFormat
from harness.checkpoint.record import ConversionRecord


class MegatronFolder(CheckpointFolder):
    """The folder of one iteration.

    `args` are the arguments of the run that saved it, `iteration` is None for a release, `record` is moe-harness.json
    where moe-harness wrote the checkpoint, `skipped` names what is no weight.
    """

    def __init__(
        self,
        *,
        folder: Path,
        format: CheckpointFormat,
        args: Mapping[str, Any],
        iteration: int | None,
        record: ConversionRecord | None,
        boxed: Mapping[str, BoxedTensor],
        skipped: tuple[str, ...],
        files: tuple[Path, ...],
    ) -> None:
        super().__init__(folder, {name: tensor.info for name, tensor in boxed.items()}, files)
        self.format = format
        self.args = args
        self.iteration = iteration
        self.record = record
        self.skipped = skipped
        self._boxed = boxed
        self._reader = RowReader(self._open_files)

    def fingerprint(self) -> str:
        """SHA-256 over all names, sizes and times of the last change."""
        digest = hashlib.sha256()
        for path in self.files:
            status = path.stat()
            digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def _read_rows(self, name: str, first: int, out: Rows) -> None:
        self._reader.read(name, self._boxed[name], first, out)

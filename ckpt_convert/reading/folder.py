"""What the folders of all formats of checkpoints have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ckpt_convert.reading.open_files import OpenFiles
from ckpt_convert.tensors import Rows, TensorInfo
from harness.checkpoint.files import CheckpointFormat


class CheckpointFolder(ABC):
    """A source of tensors whose rows any number of threads may read at once. Use it in a `with` block.

    `files` are those that hold the tensors.
    """

    format: CheckpointFormat

    def __init__(self, folder: Path, tensors: Mapping[str, TensorInfo], files: tuple[Path, ...]) -> None:
        self.folder = folder
        self.tensors = tensors
        self.files = files
        self._open_files = OpenFiles()

    def read_rows(self, name: str, first: int, out: Rows) -> None:
        """Fill `out` (count, columns), C-contiguous, with the tensor's rows from `first` on.

        Raises ConfigError where a file is damaged, EnvironmentProblem where it cannot be read.
        """
        info = self.tensors[name]
        if out.dtype != info.dtype.numpy or out.shape[1:] != (info.columns,) or not 0 <= first <= info.rows - len(out):
            raise ValueError(f"{name}: rows {first} + {out.shape} of {out.dtype} are not rows of {info}")
        if out.size:
            self._read_rows(name, first, out)

    @abstractmethod
    def _read_rows(self, name: str, first: int, out: Rows) -> None:
        """Fill `out`, which holds one row at least of those that the tensor has."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash that changes when a file is changed or replaced."""

    def close(self) -> None:
        """Close the files."""
        self._open_files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

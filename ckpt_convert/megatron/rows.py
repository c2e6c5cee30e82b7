"""Rows of a tensor that lies in boxes, read into memory with few calls and little memory of their own."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from ckpt_convert.megatron.boxes import BoxedTensor
from ckpt_convert.reading.open_files import OpenFiles
from ckpt_convert.tensors import BY_TORCH_NAME, Rows
from harness.checkpoint.torch_save.box import Box, StorageLocation
from harness.checkpoint.torch_save.torch_file import StoredTensor, read_torch_file
from harness.errors import ConfigError

_SCRATCH_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """Rows of the tensor's matrix that follow each other in a file, with `columns` of its columns."""

    row: int
    rows: int
    column: int
    columns: int
    location: StorageLocation
    first: int


class RowReader:
    """Reads rows of boxed tensors. Several threads may read at once."""

    def __init__(self, files: OpenFiles) -> None:
        self._files = files
        self._runs: dict[str, list[_Run]] = {}
        self._chunks: dict[StorageLocation, StoredTensor] = {}

    def read(self, name: str, tensor: BoxedTensor, first: int, out: Rows) -> None:
        """Fill `out` (count, columns) with the rows of the tensor `name` from `first` on."""
        if name not in self._runs:
            self._runs[name] = sorted(_runs(tensor), key=lambda run: run.row)
        runs = self._runs[name]
        last = first + len(out)
        longest = max((run.rows for run in runs), default=0)
        for run in runs[bisect_left(runs, first - longest, key=lambda run: run.row) :]:
            if run.row >= last:
                break
            low, high = max(first, run.row), min(last, run.row + run.rows)
            if low < high:
                target = out[low - first : high - first, run.column : run.column + run.columns]
                self._fill(target, tensor, run, low - run.row)

    def _fill(self, target: Rows, tensor: BoxedTensor, run: _Run, skipped: int) -> None:
        """Read the rows of a run after the first `skipped` ones."""
        itemsize = tensor.dtype.itemsize
        path, where = run.location.path, str(run.location.path)
        offset = self._start(run, tensor) + (run.first + skipped * run.columns) * itemsize
        if target.flags.c_contiguous:
            self._files.read(path, offset, target, where)
            return
        step = max(1, _SCRATCH_BYTES // (run.columns * itemsize))
        scratch = np.empty((min(step, len(target)), run.columns), target.dtype)
        for row in range(0, len(target), step):
            part = scratch[: len(target) - row]
            self._files.read(path, offset + row * run.columns * itemsize, part, where)
            target[row : row + step] = part

    def _start(self, run: _Run, tensor: BoxedTensor) -> int:
        """The byte of the file at which the elements of a run's location begin."""
        location = run.location
        if location.length is None:
            return location.offset
        if location not in self._chunks:
            self._chunks[location] = _checked(
                read_torch_file(location.path, location.offset, location.length).content, tensor, location
            )
        stored = self._chunks[location]
        if prod(stored.shape) < run.first + run.rows * run.columns:
            raise ConfigError(
                f"{location.path}, byte {location.offset}: holds {stored.shape}, less than .metadata says"
            )
        return stored.offset


def _checked(stored: object, tensor: BoxedTensor, location: StorageLocation) -> StoredTensor:
    """The tensor of a chunk; ConfigError where it is not what .metadata says."""
    where = f"{location.path}, byte {location.offset}"
    if not isinstance(stored, StoredTensor):
        raise ConfigError(f"{where}: holds no tensor, though .metadata says so; copy the checkpoint again")
    if BY_TORCH_NAME.get(stored.dtype) is not tensor.dtype:
        raise ConfigError(f"{where}: a tensor of {stored.dtype}, .metadata says {tensor.dtype.value}")
    if not stored.contiguous:
        raise ConfigError(f"{where}: a tensor whose elements do not follow each other; save it contiguous")
    return stored


def _runs(tensor: BoxedTensor) -> Iterator[_Run]:
    """The boxes as rows of the tensor's matrix."""
    shape = tensor.shape if len(tensor.shape) > 1 else (tensor.info.rows, 1)
    for box in tensor.boxes:
        offsets, sizes = (box.offsets, box.sizes) if len(tensor.shape) > 1 else _as_column(box)
        if prod(sizes):
            yield from _box_runs(shape, offsets, sizes, box)


def _box_runs(shape: tuple[int, ...], offsets: tuple[int, ...], sizes: tuple[int, ...], box: Box) -> Iterator[_Run]:
    """A run for each index before the axis that the box fills, behind it, to its end."""
    axis = len(shape) - 2
    while axis > 0 and sizes[axis] == shape[axis]:
        axis -= 1
    rows = prod(sizes[axis:-1])
    below = prod(shape[axis + 1 : -1])
    first = box.first
    for index in product(*(range(low, low + size) for low, size in zip(offsets[:axis], sizes[:axis], strict=True))):
        row = _ravel(index, shape) * shape[axis] + offsets[axis]
        yield _Run(
            row=row * below, rows=rows, column=offsets[-1], columns=sizes[-1], location=box.location, first=first
        )
        first += rows * sizes[-1]


def _ravel(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """The number of an index among all of its leading axes, counted row after row."""
    number = 0
    for position, size in zip(index, shape, strict=False):
        number = number * size + position
    return number


def _as_column(box: Box) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Offsets and sizes of a vector's box as those of a matrix of one column; a single number is one row."""
    return (*(box.offsets or (0,)), 0), (*(box.sizes or (1,)), 1)

"""A source whose tensors have the number formats that the output wants."""

from collections.abc import Callable, Iterator, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ckpt_convert.floats import first_beyond_f16, narrow_to_bf16, narrow_to_bf16_without_ties, narrow_to_f16, widen
from ckpt_convert.fp8 import (
    SCALE_SUFFIX,
    BlockRun,
    BlockScaledSource,
    block_runs,
    dequantise,
    first_bad_scale,
    first_nan_row,
    scale_problem,
)
from ckpt_convert.scratch import Scratch
from ckpt_convert.tensors import Dtype, Rows, TensorInfo, TensorSource
from harness.errors import ConfigError

_READ_ELEMENTS = 1 << 19  # a read: large enough for a disk
_TILE_ELEMENTS = 1 << 16  # a pass: two fp32 buffers of it stay in a core's L2 cache
_DAMAGED = "the checkpoint is damaged, download it again"


class CastSource:
    """`source` with each tensor in the format `dtype_of(name, info)`; only what is FP8 already can stay so.

    A tensor of that format already is read straight into the caller's rows. Others go through fp32: exactly where the
    format asked for is wider, by one rounding to nearest, ties to even, where it is not. An FP8 weight is multiplied by
    its blocks' scales, which then are no tensors of their own any more. Working memory is a few MB a thread.
    """

    def __init__(self, source: TensorSource, dtype_of: Callable[[str, TensorInfo], Dtype]) -> None:
        """ConfigError names every FP8 weight without scales that fit, and every tensor that would become FP8."""
        self._source = source
        self._scratch = Scratch()
        formats = {name: dtype_of(name, info) for name, info in source.tensors.items()}
        problems = [problem for name, asked in formats.items() if (problem := _problem(name, asked, source))]
        if problems:
            raise ConfigError(problems)
        self.tensors: Mapping[str, TensorInfo] = {
            name: TensorInfo(dtype=formats[name], shape=info.shape)
            for name, info in source.tensors.items()
            if not _is_spent_scale(name, source.tensors, formats)
        }

    def read_rows(self, name: str, first: int, out: Rows) -> None:
        """Fill `out` (count, columns) with rows from `first` on, in the format asked for.

        Raises ConfigError for NaN codes and scales of FP8, and for numbers that fp16 cannot hold.
        """
        stored = self._source.tensors[name].dtype
        if stored is self.tensors[name].dtype:
            self._source.read_rows(name, first, out)
            return
        write = self._dequantise if stored is Dtype.F8_E4M3 else self._cast
        for begin, end in _runs(out.shape, _READ_ELEMENTS):
            values = self._scratch.array("values", (end - begin, out.shape[1]), stored.numpy)
            self._source.read_rows(name, first + begin, values)
            write(name, first + begin, values, out[begin:end])

    def _cast(self, name: str, first: int, values: Rows, out: Rows) -> None:
        """Write the `values` that were read from row `first` on, and overwrite them."""
        stored = self._source.tensors[name].dtype
        for begin, end in _runs(out.shape, _TILE_ELEMENTS):
            wide = values[begin:end]
            if stored is not Dtype.F32:
                wide = self._wide(out[begin:end])
                widen(values[begin:end], stored, wide)
            self._narrow(name, first + begin, wide, out[begin:end])

    def _dequantise(self, name: str, first: int, codes: NDArray[np.uint8], out: Rows) -> None:
        """Write the FP8 codes that were read from row `first` on."""
        if (row := first_nan_row(codes)) is not None:
            raise ConfigError(f"{name}: row {first + row} holds an FP8 code that is no number (NaN): {_DAMAGED}")
        for run in self._block_runs(name, first, first + len(out)):
            for begin, end in _runs((run.end - run.first, out.shape[1]), _TILE_ELEMENTS):
                rows = slice(run.first - first + begin, run.first - first + end)
                wide = self._wide(out[rows])
                dequantise(codes[rows], run.factors, wide)
                if self.tensors[name].dtype is Dtype.BF16 and not run.ties:
                    narrow_to_bf16_without_ties(wide, out[rows])
                else:
                    self._narrow(name, run.first + begin, wide, out[rows])

    def _block_runs(self, name: str, first: int, end: int) -> Iterator[BlockRun]:
        """An FP8 weight's rows from `first` to before `end`, with their scales."""
        source = cast(BlockScaledSource, self._source)  # so __init__ has found
        scales = source.scales(name)
        if (block := first_bad_scale(scales)) is not None:
            raise ConfigError(
                f"{name}{SCALE_SUFFIX}: the scale of block {block} is {scales[block]}, not a finite number: {_DAMAGED}"
            )
        return block_runs(first, end, self.tensors[name].columns, source.block_shape, scales)

    def _wide(self, out: Rows) -> NDArray[np.float32]:
        """The buffer for the fp32 numbers of a tile: the output itself if it is fp32."""
        return out if out.dtype == Dtype.F32.numpy else self._scratch.array("wide", out.shape, Dtype.F32.numpy)

    def _narrow(self, name: str, first: int, wide: NDArray[np.float32], out: Rows) -> None:
        """Write fp32 numbers, which are used up, as bf16 or fp16; as fp32 they are in `out` already."""
        asked = self.tensors[name].dtype
        if asked is Dtype.BF16:
            narrow_to_bf16(wide, self._scratch.array("spare", wide.shape, np.dtype(np.uint32)), out)
        elif asked is Dtype.F16:
            if (beyond := first_beyond_f16(wide)) is not None:
                raise ConfigError(
                    f"{name}: {beyond.value:g} in row {first + beyond.row} is beyond fp16, whose largest number is "
                    "65504: convert to bf16 or fp32"
                )
            narrow_to_f16(wide, out)


def _problem(name: str, asked: Dtype, source: TensorSource) -> str | None:
    """Why a tensor cannot be given in the format asked for, as far as headers tell; None if it can."""
    stored = source.tensors[name].dtype
    if stored is asked:
        return None
    if asked is Dtype.F8_E4M3:
        return f"{name}: is {stored.value}; weights are not quantised to FP8 here: choose bf16, fp16 or fp32"
    if stored is not Dtype.F8_E4M3:
        return None
    if not isinstance(source, BlockScaledSource):
        return f"{name}: is FP8, whose scales only a Hugging Face folder holds: convert from there"
    return scale_problem(name, source.tensors, source.block_shape)


def _is_spent_scale(name: str, stored: Mapping[str, TensorInfo], asked: Mapping[str, Dtype]) -> bool:
    """Whether a tensor holds the scales of a weight that is no longer FP8."""
    weight = name.removesuffix(SCALE_SUFFIX)
    return weight != name and weight in stored and stored[weight].dtype is Dtype.F8_E4M3 is not asked[weight]


def _runs(shape: tuple[int, ...], elements: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows, first and one past the last, of at most so many elements each, but of one row at least."""
    rows, columns = shape
    step = max(1, elements // max(1, columns))
    for begin in range(0, rows, step):
        yield begin, min(rows, begin + step)

"""FP8 weights whose blocks share an fp32 scale.

The format is e4m3fn: a sign, 4 bits of exponent with bias 7, 3 bits of mantissa, no infinity, two codes for NaN.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ckpt_convert.tensors import Dtype, TensorInfo, TensorSource

SCALE_SUFFIX = "_scale_inv"
"""The scales of `x.weight` are the tensor `x.weight_scale_inv`, as DeepSeek's checkpoints name them."""

_SIGN_AND_CODE = np.int32(-0x78100000)  # 0x87F00000: fp32's sign, and the seven bits below to which a code is moved
_REBIAS = np.float32(2.0**120)  # by fp32's bias, 127, less e4m3's, 7
_LARGEST_REBIASED = np.float32(2.0**7)  # a scale whose product with 2¹²⁰ is finite


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockShape:
    """Rows and columns of a weight that share a scale; the last block either way may be smaller."""

    rows: int
    columns: int

    def grid(self, info: TensorInfo) -> tuple[int, int]:
        """(block rows, block columns) of a weight."""
        return -(-info.rows // self.rows), -(-info.columns // self.columns)


@runtime_checkable
class BlockScaledSource(TensorSource, Protocol):
    """A source that may hold FP8 weights."""

    block_shape: BlockShape

    def scales(self, name: str) -> NDArray[np.float32]:
        """(block rows, block columns) factors of an FP8 weight's blocks."""


class BlockRun(NamedTuple):
    """Rows of a weight, from first to before end, in one row of blocks."""

    first: int
    end: int
    factors: tuple[NDArray[np.float32], ...]
    """The factors to multiply each column with, one after another."""
    ties: bool
    """Whether a code times a scale can lie halfway between two numbers of bf16."""


def block_runs(
    first: int, end: int, columns: int, block: BlockShape, scales: NDArray[np.float32]
) -> Iterator[BlockRun]:
    """A weight's rows from `first` to before `end`, split where the next row of blocks begins."""
    while first < end:
        block_row = first // block.rows
        stop = min(end, (block_row + 1) * block.rows)
        column_scales = np.repeat(scales[block_row], block.columns)[:columns]
        yield BlockRun(first, stop, _factors(column_scales), _makes_ties(scales[block_row]))
        first = stop


def scale_problem(name: str, tensors: Mapping[str, TensorInfo], block: BlockShape) -> str | None:
    """Why an FP8 weight cannot be dequantised, as far as headers tell; None if it can."""
    info, scale = tensors[name], tensors.get(name + SCALE_SUFFIX)
    if scale is None:
        return f"{name}: is FP8, but its scales, {name + SCALE_SUFFIX}, are missing: download the whole checkpoint"
    grid = block.grid(info)
    if len(info.shape) != 2 or scale.dtype is not Dtype.F32 or scale.shape != grid:
        return (
            f"{name + SCALE_SUFFIX}: {scale.dtype.value} {scale.shape} does not scale FP8 {info.shape}: a matrix in "
            f"blocks of {block.rows} × {block.columns} (weight_block_size in config.json) needs F32 {grid}"
        )
    return None


def first_bad_scale(scales: NDArray[np.float32]) -> tuple[int, int] | None:
    """Block row and block column of the first scale that is no finite number."""
    bad = np.argwhere(~np.isfinite(scales))
    return (int(bad[0][0]), int(bad[0][1])) if len(bad) else None


def first_nan_row(codes: NDArray[np.uint8]) -> int | None:
    """The first of (rows, columns) with a code for NaN: 0x7F, the largest int8, or 0xFF, the largest uint8."""
    if not codes.size or (codes.view(np.int8).max() < 0x7F and codes.max() < 0xFF):
        return None
    return int(np.argwhere((codes & 0x7F) == 0x7F)[0][0])


def dequantise(codes: NDArray[np.uint8], factors: tuple[NDArray[np.float32], ...], out: NDArray[np.float32]) -> None:
    """Write `codes` (rows, columns) times their scales to `out`, rounded once, as a product in fp32 is.

    A code's lower seven bits, put where fp32 has the end of its exponent and the start of its mantissa, are its value
    · 2⁻¹²⁰, also when it is subnormal; the factors make up for it. Widening as int8 fills all upper bits with the sign.
    """
    bits = out.view(np.int32)
    np.copyto(bits, codes.view(np.int8))
    np.left_shift(bits, 20, out=bits)
    np.bitwise_and(bits, _SIGN_AND_CODE, out=bits)
    with np.errstate(over="ignore"):
        for factor in factors:
            np.multiply(out, factor, out=out)


def _factors(column_scales: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """The scales times 2¹²⁰; where that is beyond fp32, 2¹²⁰, an exact product, and then the scales."""
    if np.abs(column_scales).max(initial=0) <= _LARGEST_REBIASED:
        return (column_scales * _REBIAS,)
    return (np.full_like(column_scales, _REBIAS), column_scales)


def _makes_ties(scales: NDArray[np.float32]) -> bool:
    """Whether any code's value times any of the scales ends in exactly half of bf16's last place.

    There are 127 values besides the sign, so this costs little; that it is rarely so makes rounding twice as fast.
    """
    values = np.empty((127, 1), np.float32)
    dequantise(np.arange(127, dtype=np.uint8)[:, None], (np.full(1, _REBIAS),), values)
    with np.errstate(over="ignore"):
        products = values * scales
    return bool(((products.view(np.uint32) & 0xFFFF) == 0x8000).any())

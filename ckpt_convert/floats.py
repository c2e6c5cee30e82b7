"""bf16 and fp16 to and from fp32. numpy has no bf16: its bits are the upper half of fp32's."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ckpt_convert.tensors import Dtype, Rows

_F16_LIMIT = np.float32(65520)
"""Halfway between fp16's largest number, 65504, and the next: from here on a value rounds to infinity."""

_BF16_NAN = 0xFFFF
"""What torch's vectorised cast makes of every NaN."""


class Beyond(NamedTuple):
    """A number that a format cannot hold, and its row."""

    row: int
    value: float


def widen(values: Rows, dtype: Dtype, out: NDArray[np.float32]) -> None:
    """Write bf16 or fp16 `values` as fp32, exactly."""
    if dtype is Dtype.BF16:
        bits = out.view(np.uint32)
        np.copyto(bits, values)
        np.left_shift(bits, 16, out=bits)
    else:
        np.copyto(out, values)


def narrow_to_bf16(values: NDArray[np.float32], spare: NDArray[np.uint32], out: NDArray[np.uint16]) -> None:
    """Round to the nearest bf16, ties to even, beyond its range to infinity. `values` and `spare` are used up.

    Half a unit in the last place, less one where the last kept bit is even, is added to the bits; the carry rounds.
    """
    nans = np.isnan(values) if values.size and np.isnan(values.max()) else None
    bits = values.view(np.uint32)
    np.right_shift(bits, 16, out=spare)
    np.bitwise_and(spare, 1, out=spare)
    np.add(spare, 0x7FFF, out=spare)
    np.add(bits, spare, out=bits)
    np.right_shift(bits, 16, out=bits)
    np.copyto(out, bits, casting="same_kind")
    if nans is not None:
        out[nans] = _BF16_NAN


def narrow_to_bf16_without_ties(values: NDArray[np.float32], out: NDArray[np.uint16]) -> None:
    """The same for values of which none is NaN or just between two numbers of bf16; in half as many passes."""
    bits = values.view(np.uint32)
    np.add(bits, 0x8000, out=bits)
    np.right_shift(bits, 16, out=bits)
    np.copyto(out, bits, casting="same_kind")


def narrow_to_f16(values: NDArray[np.float32], out: NDArray[np.float16]) -> None:
    """Round to the nearest fp16, ties to even."""
    np.copyto(out, values, casting="same_kind")


def first_beyond_f16(values: NDArray[np.float32]) -> Beyond | None:
    """Row and value of the first finite number (rows, columns) that fp16 cannot hold."""
    if not values.size or (values.min() > -_F16_LIMIT and values.max() < _F16_LIMIT):
        return None
    beyond = np.argwhere(np.isfinite(values) & (np.abs(values) >= _F16_LIMIT))
    if not len(beyond):
        return None
    row, column = beyond[0]
    return Beyond(int(row), float(values[row, column]))

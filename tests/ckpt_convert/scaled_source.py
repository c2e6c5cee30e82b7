"""Arrays as a source of tensors, FP8 with its scales among them, and what a cast makes of one."""

import numpy as np
from numpy.typing import NDArray

from ckpt_convert.cast import CastSource
from ckpt_convert.fp8 import BlockShape
from ckpt_convert.tensors import Dtype, Rows, TensorInfo, TensorSource


class ScaledSource:
    """Tensors of a number format, given as arrays of its numpy type."""

    def __init__(self, tensors: dict[str, tuple[Dtype, NDArray]], block: tuple[int, int] = (128, 128)) -> None:
        self.block_shape = BlockShape(rows=block[0], columns=block[1])
        self.arrays = {name: array for name, (_, array) in tensors.items()}
        self.tensors = {name: TensorInfo(dtype=dtype, shape=array.shape) for name, (dtype, array) in tensors.items()}
        self.read_into: list[Rows] = []

    def read_rows(self, name: str, first: int, out: Rows) -> None:
        self.read_into.append(out)
        info = self.tensors[name]
        out[:] = self.arrays[name].reshape(info.rows, info.columns)[first : first + len(out)]

    def scales(self, name: str) -> NDArray[np.float32]:
        return self.arrays[name + "_scale_inv"]


def fp8_source(codes: NDArray, scales: NDArray, block: tuple[int, int] = (128, 128)) -> ScaledSource:
    """One FP8 weight, `w`."""
    return ScaledSource({"w": (Dtype.F8_E4M3, codes), "w_scale_inv": (Dtype.F32, scales)}, block)


def cast_rows(source: TensorSource, name: str, to: Dtype, first: int = 0, count: int | None = None) -> Rows:
    """Rows of a tensor in another format."""
    cast = CastSource(source, lambda other, info: to if other == name else info.dtype)
    info = cast.tensors[name]
    out = np.empty((info.rows - first if count is None else count, info.columns), to.numpy)
    cast.read_rows(name, first, out)
    return out

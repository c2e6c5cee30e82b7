"""Arrays as a source of tensors, FP8 with its scales among them, and what a cast makes of one."""

import numpy as np
from array_source import ArraySource
from numpy.typing import NDArray

from ckpt_convert.cast import CastSource
from ckpt_convert.fp8 import BlockShape
from ckpt_convert.tensors import Dtype, Rows, TensorSource


class ScaledSource(ArraySource):
    """Tensors with the scales of those that are FP8; remembers what it read into."""

    def __init__(self, tensors: dict[str, tuple[Dtype, NDArray]], block: tuple[int, int] = (128, 128)) -> None:
        super().__init__(tensors)
        self.block_shape = BlockShape(rows=block[0], columns=block[1])
        self.read_into: list[Rows] = []

    def read_rows(self, name: str, first: int, out: Rows) -> None:
        self.read_into.append(out)
        super().read_rows(name, first, out)

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

"""A TensorSource over numpy arrays, and what to fill it with."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ckpt_convert.assembly import Assembly, Part
from ckpt_convert.tensors import Dtype, Rows, TensorInfo


class ArraySource:
    """Tensors given as arrays of their format's numpy type."""

    def __init__(self, tensors: Mapping[str, tuple[Dtype, NDArray]]) -> None:
        self.arrays = {name: array for name, (_, array) in tensors.items()}
        self.tensors = {name: TensorInfo(dtype=dtype, shape=array.shape) for name, (dtype, array) in tensors.items()}

    def read_rows(self, name: str, first: int, out: Rows) -> None:
        info = self.tensors[name]
        assert out.dtype == info.dtype.numpy
        out[:] = self.arrays[name].reshape(info.rows, info.columns)[first : first + len(out)]


def random_array(seed: int, dtype: Dtype, *shape: int) -> NDArray:
    """Normal numbers; bf16 as their bits."""
    numbers = np.random.default_rng(seed).standard_normal(shape, np.float32)
    if dtype is Dtype.BF16:
        return (numbers.view(np.uint32) >> 16).astype(np.uint16)
    return numbers.astype(dtype.numpy)


def unchanged(name: str, dtype: Dtype, *shape: int) -> Assembly:
    """The source's tensor of the same name."""
    rows = TensorInfo(dtype=dtype, shape=shape).rows
    return Assembly(name=name, dtype=dtype, shape=shape, parts=(Part(source=name, first=0, rows=rows),))


def random_source(*tensors: Assembly) -> ArraySource:
    """Random numbers for tensors that are taken from the source unchanged."""
    return ArraySource(
        {
            tensor.name: (tensor.dtype, random_array(seed, tensor.dtype, *tensor.shape))
            for seed, tensor in enumerate(tensors)
        }
    )

"""Tensors as both sides of a conversion see them: a name, a number format, a shape, and rows to be read.

Legend: a tensor of shape (d0, d1, …, dn) is a matrix of d0·…·d(n-1) rows and dn columns; a vector (d0) has d0 rows of
one column. Rows follow each other in memory, so a run of rows is a run of bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

type Rows = NDArray[Any]
"""(rows, columns) of a `Dtype`'s numpy type."""


class Dtype(Enum):
    """A number format of weights; the value is the name that safetensors gives it."""

    BF16 = "BF16"
    F16 = "F16"
    F32 = "F32"
    F8_E4M3 = "F8_E4M3"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy type that holds it. numpy knows neither bf16 nor fp8: their bits are kept as whole numbers."""
        return np.dtype(_NUMPY[self])

    @property
    def torch_name(self) -> str:
        """Torch's name for it."""
        return _TORCH[self]

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.numpy.itemsize


_NUMPY = {Dtype.BF16: "<u2", Dtype.F16: "<f2", Dtype.F32: "<f4", Dtype.F8_E4M3: "u1"}
_TORCH = {
    Dtype.BF16: "bfloat16",
    Dtype.F16: "float16",
    Dtype.F32: "float32",
    Dtype.F8_E4M3: "float8_e4m3fn",
}
BY_TORCH_NAME = {dtype.torch_name: dtype for dtype in (Dtype.BF16, Dtype.F16, Dtype.F32)}
"""The formats of Megatron's weights. FP8 is not among them: Megatron keeps its scales apart from the tensor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorInfo:
    """What a tensor is, without its values."""

    dtype: Dtype
    shape: tuple[int, ...]

    @property
    def columns(self) -> int:
        """Elements a row."""
        return self.shape[-1] if len(self.shape) > 1 else 1

    @property
    def rows(self) -> int:
        """Rows of the matrix that the tensor is."""
        return prod(self.shape[:-1]) if len(self.shape) > 1 else prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes of all elements."""
        return prod(self.shape) * self.dtype.itemsize


class TensorSource(Protocol):
    """Where tensors are read from. Several threads may read at once."""

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Every tensor there is, by name."""

    def read_rows(self, name: str, first: int, out: Rows) -> None:
        """Fill `out` (count, columns), of the tensor's numpy type, with the rows from `first` on.

        Raises HarnessError where the bytes cannot be read.
        """

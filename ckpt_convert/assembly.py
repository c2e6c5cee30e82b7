"""How an output tensor is put together: rows of source tensors, one run after another.

All that a conversion does to weights besides their number format is of this kind: renaming (one part), gate over up
(two), stacked experts (one or two an expert), query, key and value interleaved by query group (three a group), padding
(a part without a source). It can be inverted, since each row of a source goes to one place.
"""

from dataclasses import dataclass

from ckpt_convert.tensors import Dtype, TensorInfo


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """`rows` rows of the tensor `source` from `first` on; zeros where `source` is None."""

    source: str | None
    first: int
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Assembly:
    """An output tensor: the parts' rows, in order. They have as many columns as the tensor itself."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    parts: tuple[Part, ...]

    @property
    def info(self) -> TensorInfo:
        """The tensor without its values."""
        return TensorInfo(dtype=self.dtype, shape=self.shape)

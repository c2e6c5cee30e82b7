"""A tensor cut into chunks, which are boxes of it and runs of its rows at once."""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from ckpt_convert.tensors import TensorInfo

CHUNK_BYTES = 32 * 2**20
"""A reader loads whole chunks, however little it needs of one, so a chunk is hardly larger than what one rank wants
of a tensor: in DeepSeek-V3, an expert's gate, up and down matrices become a chunk each."""


class Chunk(NamedTuple):
    """A part of a tensor; its elements are `sizes`' rows of the tensor from `first_row` on."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    first_row: int


def chunks(info: TensorInfo, limit_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """The chunks of a tensor in the order of its rows, of about equal size, each at most `limit_bytes` or one row.

    Stacked matrices are never together in a chunk: each is an expert, and ranks load experts one by one.
    """
    stacked = max(len(info.shape) - 2, 0)
    matrix = info.shape[stacked:]
    height = matrix[0]
    row_bytes = prod(matrix[1:]) * info.dtype.itemsize
    rows = _rows_a_chunk(height, max(limit_bytes // max(row_bytes, 1), 1))
    for index in range(prod(info.shape[:stacked])):
        place = _unravel(index, info.shape[:stacked])
        for first in range(0, height, rows):
            sizes = (1,) * stacked + (min(rows, height - first), *matrix[1:])
            tail = (0,) * (len(matrix) - 1)
            yield Chunk(offsets=(*place, first, *tail), sizes=sizes, first_row=index * height + first)


def _rows_a_chunk(height: int, most: int) -> int:
    """The rows of each chunk so that their number is the least possible and they differ little."""
    count = -(-height // most)
    return max(-(-height // max(count, 1)), 1)


def _unravel(index: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The place of the index-th element in an array of this shape."""
    place: list[int] = []
    for size in reversed(shape):
        index, last = divmod(index, size)
        place.append(last)
    return tuple(reversed(place))

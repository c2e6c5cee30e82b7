"""Any tensor in boxes of any shape reads as the tensor, in any runs of rows."""

import tracemalloc
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt_convert.megatron.boxes import BoxedTensor, concatenate, slices, stack, uncovered
from ckpt_convert.megatron.rows import RowReader
from ckpt_convert.reading.open_files import OpenFiles
from ckpt_convert.tensors import Dtype, Rows
from harness.checkpoint.torch_save.box import Box, StorageLocation
from harness.errors import ConfigError


def in_boxes(values: Rows, cuts: list[list[int]], path: Path) -> BoxedTensor:
    """Write an array box by box, cut at the given indices of each axis."""
    boxes = []
    with path.open("wb") as file:
        for spans in product(*(pairwise([0, *inner, size]) for inner, size in zip(cuts, values.shape, strict=True))):
            part = np.array(values[tuple(slice(*span) for span in spans)], order="C")
            location = StorageLocation(path=path, offset=file.tell())
            offsets, sizes = tuple(low for low, _ in spans), part.shape
            boxes.append(Box(offsets=offsets, sizes=sizes, location=location))
            file.write(part.tobytes())
    return BoxedTensor(dtype=Dtype.F32, shape=values.shape, boxes=tuple(boxes))


def read(tensor: BoxedTensor, first: int = 0, count: int | None = None) -> Rows:
    """Rows of a boxed tensor."""
    count = tensor.info.rows if count is None else count
    out = np.full((count, tensor.info.columns), np.nan, np.float32)
    RowReader(OpenFiles()).read("it", tensor, first, out)
    return out


@st.composite
def _tensors(draw: st.DrawFn) -> tuple[tuple[int, ...], list[list[int]], int, int]:
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=0, max_size=4)))
    cuts = [sorted(draw(st.sets(st.integers(1, size - 1), max_size=3))) if size > 1 else [] for size in shape]
    rows = int(np.prod(shape[:-1])) if len(shape) > 1 else int(np.prod(shape))
    first = draw(st.integers(0, rows))
    return shape, cuts, first, draw(st.integers(0, rows - first))


@given(asked=_tensors())
def test_boxes_read_as_the_tensor(tmp_path_factory: pytest.TempPathFactory, asked: tuple) -> None:
    """Grids of any cuts, of vectors, matrices, stacks and single numbers; and the same cut along the first axis."""
    shape, cuts, first, count = asked
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    tensor = in_boxes(values, cuts, tmp_path_factory.mktemp("boxes") / "file")
    assert uncovered(tensor) is None
    expected = values.reshape(tensor.info.rows, tensor.info.columns)
    np.testing.assert_array_equal(read(tensor, first, count), expected[first : first + count])
    if len(shape) > 1:
        parts = slices(tensor)
        for part, layer in zip(parts, values, strict=True):
            np.testing.assert_array_equal(read(part).ravel(), layer.ravel())
        np.testing.assert_array_equal(read(stack(parts)), expected)
        np.testing.assert_array_equal(read(concatenate(tensor, tensor)), np.concatenate([expected, expected]))


def test_boxes_in_no_grid(tmp_path: Path) -> None:
    """A pinwheel: no cut goes through, and yet it is whole; without its hub it is not."""
    values = np.arange(9, dtype=np.float32).reshape(3, 3)
    spans = [((0, 1), (0, 2)), ((0, 2), (2, 3)), ((2, 3), (1, 3)), ((1, 3), (0, 1)), ((1, 2), (1, 2))]
    boxes = []
    path = tmp_path / "file"
    with path.open("wb") as file:
        for rows, columns in spans:
            location = StorageLocation(path=path, offset=file.tell())
            sizes = (rows[1] - rows[0], columns[1] - columns[0])
            boxes.append(Box(offsets=(rows[0], columns[0]), sizes=sizes, location=location))
            file.write(np.ascontiguousarray(values[slice(*rows), slice(*columns)]).tobytes())
    tensor = BoxedTensor(dtype=Dtype.F32, shape=(3, 3), boxes=tuple(boxes))
    assert uncovered(tensor) is None
    np.testing.assert_array_equal(read(tensor), values)
    hollow = BoxedTensor(dtype=Dtype.F32, shape=(3, 3), boxes=tuple(boxes[:-1]))
    assert uncovered(hollow) == "no part holds [1, 1]"
    outside = BoxedTensor(dtype=Dtype.F32, shape=(2, 3), boxes=tuple(boxes))
    assert uncovered(outside) == "a part from [2, 1] to [3, 3] sticks out of it"


def test_memory_does_not_grow_with_the_boxes(tmp_path: Path) -> None:
    """Half the columns of 32 MB: they are read through a buffer of a megabyte."""
    values = np.zeros((2048, 4096), np.float32)
    tensor = in_boxes(values, [[], [2048]], tmp_path / "file")
    out = np.ones((2048, 4096), np.float32)
    reader = RowReader(OpenFiles())
    tracemalloc.start()
    reader.read("it", tensor, 0, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 << 20
    assert not out.any()


def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    """Where it ends, and by how much."""
    tensor = in_boxes(np.ones((4, 4), np.float32), [[], []], tmp_path / "file")
    (tmp_path / "file").write_bytes(b"x" * 40)
    with pytest.raises(ConfigError, match="file: the file ends at byte 40, 24 bytes early: truncated since"):
        read(tensor)

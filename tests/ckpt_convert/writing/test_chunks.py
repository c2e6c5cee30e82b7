"""Chunks are boxes of the tensor and runs of its rows at once, and cover it once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ckpt_convert.tensors import Dtype, TensorInfo
from ckpt_convert.writing.chunks import CHUNK_BYTES, chunks

shapes = st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple)


@given(shapes, st.integers(1, 200))
def test_chunks_are_runs_of_rows(shape: tuple[int, ...], limit_bytes: int) -> None:
    info = TensorInfo(dtype=Dtype.F32, shape=shape)
    tensor = np.arange(np.prod(shape)).reshape(shape)
    matrix = tensor.reshape(-1, info.columns)
    next_row = 0
    for chunk in chunks(info, limit_bytes):
        part = tensor[
            tuple(slice(offset, offset + size) for offset, size in zip(chunk.offsets, chunk.sizes, strict=True))
        ]
        rows = TensorInfo(dtype=Dtype.F32, shape=chunk.sizes).rows
        assert chunk.first_row == next_row
        assert part.shape == chunk.sizes
        assert np.array_equal(part.ravel(), matrix[next_row : next_row + rows].ravel())
        assert part.size * 4 <= max(limit_bytes, info.columns * 4)
        next_row += rows
    assert next_row == info.rows


def test_experts_of_deepseek_v3() -> None:
    """Gate, up and down of one expert are a chunk each: what a rank of an expert-parallel job asks for."""
    gate_up = list(chunks(TensorInfo(dtype=Dtype.BF16, shape=(256, 4096, 7168))))
    down = list(chunks(TensorInfo(dtype=Dtype.BF16, shape=(256, 7168, 2048))))
    assert gate_up[3] == ((1, 2048, 0), (1, 2048, 7168), 1 * 4096 + 2048)
    assert down[3] == ((3, 0, 0), (1, 7168, 2048), 3 * 7168)


def test_chunks_of_a_matrix_differ_little() -> None:
    found = list(chunks(TensorInfo(dtype=Dtype.BF16, shape=(129280, 7168))))
    assert {chunk.sizes[0] for chunk in found[:-1]} == {found[0].sizes[0]}
    assert found[-1].sizes[0] > found[0].sizes[0] / 2
    assert len(found) == -(-129280 * 7168 * 2 // CHUNK_BYTES)

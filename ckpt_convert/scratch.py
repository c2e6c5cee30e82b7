"""Working memory that a thread keeps, so that no pass over a tensor allocates."""

from math import prod
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Scratch(local):
    """Each thread's own buffers, one a use, as large as the largest array asked for so far."""

    def __init__(self) -> None:
        self._buffers: dict[str, NDArray[np.uint8]] = {}

    def array(self, use: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """A C-contiguous array of any content. It shares its memory with what was asked for before for the same use."""
        size_bytes = prod(shape) * dtype.itemsize
        buffer = self._buffers.get(use)
        if buffer is None or len(buffer) < size_bytes:
            buffer = self._buffers[use] = np.empty(size_bytes, np.uint8)
        return buffer[:size_bytes].view(dtype).reshape(shape)

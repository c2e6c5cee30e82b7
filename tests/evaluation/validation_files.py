"""Files of validation data, as others write them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_dump(file: Path, tokens: NDArray[np.integer], *, magic: int = 20240520, version: int = 1) -> Path:
    """Tokens behind a header of 256 i32, as FineWeb is handed about."""
    header = np.zeros(256, "<i4")
    header[:3] = magic, version, len(tokens)
    file.write_bytes(header.tobytes() + tokens.astype(tokens.dtype.newbyteorder("<")).tobytes())
    return file


def write_npy(file: Path, tokens: NDArray[np.generic]) -> Path:
    """A real .npy."""
    np.save(file, tokens)
    return file

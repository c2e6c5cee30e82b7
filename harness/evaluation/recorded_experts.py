"""The experts of every token at one checkpoint, kept beside its result: a series compares them over steps.

Legend: T tokens, k experts a token.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from harness.errors import EnvironmentProblem

MOST_ASSIGNMENTS = 2**28
"""Of all layers together, half a GiB: over more tokens than these, saturation tells nothing new."""


def write_experts(folder: Path, identity: str, experts: Mapping[str, NDArray[np.uint16]]) -> None:
    """Write experts [T, k] by layer, whole or not at all; nothing beyond MOST_ASSIGNMENTS. EnvironmentProblem."""
    if sum(of_layer.size for of_layer in experts.values()) > MOST_ASSIGNMENTS:
        return
    save: Callable[..., None] = np.savez_compressed  # its own type takes any of the names for the switch `allow_pickle`
    path = _path(folder, identity)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")  # others may write it too
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            save(file, **experts)
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise EnvironmentProblem(f"{path}: cannot write the experts of tokens ({reason}); free some space") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def read_experts(folder: Path, identity: str) -> dict[str, NDArray[np.uint16]] | None:
    """What was written of the evaluation of this identity; None where there is nothing that can be read."""
    try:
        with np.load(_path(folder, identity), allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, BadZipFile):
        return None


def _path(folder: Path, identity: str) -> Path:
    return folder / f"routing_{identity[:16]}.npz"

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
"""Of all layers together, half a GiB: of more, the first tokens alone are kept, and tell a series as much."""


def write_experts(folder: Path, identity: str, experts: Mapping[str, NDArray[np.uint16]]) -> None:
    """Write experts [T, k] by layer, whole or not at all; EnvironmentProblem where that cannot be.

    Of the first tokens, as many as MOST_ASSIGNMENTS allow. Two evaluations may write the same at once.
    """
    of_a_token = sum(of_layer.shape[1] for of_layer in experts.values())
    kept = {name: of_layer[: MOST_ASSIGNMENTS // of_a_token] for name, of_layer in experts.items()}
    save: Callable[..., None] = np.savez_compressed  # its own type takes any of the names for the switch `allow_pickle`
    path = _path(folder, identity)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")  # others may write it too
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            save(file, **kept)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
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

"""A conversion of a megabyte with several files of weights, for what happens when it is disturbed."""

import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from unittest import mock

from array_source import ArraySource, random_source, unchanged

from ckpt_convert.blueprint import MegatronBlueprint
from ckpt_convert.tensors import Dtype, Rows
from ckpt_convert.writing import hashed_file, torch_dist
from ckpt_convert.writing.chunks import chunks
from ckpt_convert.writing.plan import OutputPlan, plan_torch_dist
from ckpt_convert.writing.progress import Progress, Silent
from ckpt_convert.writing.write import write

_TENSORS = tuple(unchanged(f"tensor{index}", Dtype.BF16, 64, 128) for index in range(64))


@cache
def small_source() -> ArraySource:
    """The tensors' values: the same in every process."""
    return random_source(*_TENSORS)


@cache
def small_plan(layers: int = 2) -> OutputPlan:
    """Five files of weights of 256 KiB each, in chunks of 4 KiB."""
    with (
        mock.patch.object(torch_dist, "chunks", partial(chunks, limit_bytes=4096)),
        mock.patch.object(torch_dist, "_file_bytes", lambda total_bytes: 2**18),
    ):
        return plan_torch_dist(MegatronBlueprint(tensors=_TENSORS, args={"num_layers": layers}))


class SlowSource:
    """Takes a moment for every read, and tells someone of it."""

    def __init__(self, pause_s: float = 0.0005, told: Callable[[], None] = lambda: None) -> None:
        self._source = small_source()
        self._pause_s = pause_s
        self._told = told
        self.tensors = self._source.tensors

    def read_rows(self, name: str, first: int, out: Rows) -> None:
        time.sleep(self._pause_s)
        self._told()
        self._source.read_rows(name, first, out)


def convert_small(
    target: Path,
    *,
    resume: bool = False,
    source: ArraySource | SlowSource | None = None,
    fingerprint: str = "source",
    plan: OutputPlan | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> None:
    """Write the small plan through a small buffer."""
    with mock.patch.object(hashed_file, "BUFFER_BYTES", 3000):
        write(
            plan or small_plan(),
            source or small_source(),
            target,
            resume=resume,
            threads=threads,
            source_fingerprint=fingerprint,
            progress=progress or Silent(),
        )


def tree(folder: Path) -> dict[str, bytes]:
    """Every file's bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

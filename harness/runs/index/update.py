"""Bring the index up to the records: only what has changed is read."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.launch.rundir import RunPaths
from harness.runs.columns import Row, column_types, row_of
from harness.runs.index.index_file import IndexedRun, load_index, save_index
from harness.runs.index.location import index_path
from harness.runs.index.traces import all_traces, are_same, lasting
from harness.runs.record import UNFINISHED
from harness.runs.record_file import UnreadableRecord
from harness.runs.store import StoredRun, load_run, run_folders, without_collector

type ReadingTold = Callable[[Sequence[Path]], Iterable[Path]]
"""Takes the folders whose records are to be read, and yields each; it may show how far that is."""


@dataclass(frozen=True, kw_only=True)
class IndexedRoot:
    """All runs under a root: the `ended` ones as rows, the others as they stand on the disk, in no order.

    `warnings` has a line for each record that cannot be read; `unkept` says why the index could not be written.
    """

    ended: tuple[Row, ...]
    unfinished: tuple[StoredRun, ...]
    warnings: tuple[str, ...] = ()
    unkept: str | None = None

    @property
    def count(self) -> int:
        """How many runs there are."""
        return len(self.ended) + len(self.unfinished)


@dataclass(frozen=True)
class _Read:
    """What records say."""

    ended: dict[str, IndexedRun]
    unfinished: list[StoredRun]
    warnings: list[str]


def indexed_runs(root: Path, progress: ReadingTold = iter) -> IndexedRoot:
    """All runs under a root, with the index as new as their records. EnvironmentProblem if the root cannot be read.

    Ctrl-C while records are read loses none that were.
    """
    columns = column_types()
    path = index_path(root, os.environ)
    with without_collector():
        known = load_index(path, columns) if path else {}
        at = str(root.absolute())  # paths as objects would take half the time of a list of ten thousand
        fresh = {name: run for name, run in known.items() if are_same(f"{at}/{name}", run.traces)}
        read = _Read({}, [], [])
        unkept = None
        try:
            _read(run_folders(root, besides=fresh), progress, read)
        finally:
            runs = fresh | read.ended
            if path and (read.ended or known.keys() != runs.keys()):
                unkept = save_index(path, runs, columns)
        rows = tuple(_row(f"{at}/{name}", run, columns) for name, run in runs.items())
    return IndexedRoot(ended=rows, unfinished=tuple(read.unfinished), warnings=tuple(read.warnings), unkept=unkept)


def _read(folders: Sequence[Path], progress: ReadingTold, into: _Read) -> None:
    for folder in progress(folders):
        traces = all_traces(folder)
        try:
            run = load_run(folder)
        except UnreadableRecord as problem:
            into.warnings.append(str(problem))
            continue
        if run.record.status in UNFINISHED or run.removed or traces[RunPaths(folder).record.name] is None:
            into.unfinished.append(run)
        else:
            row = {**row_of(run), "folder": None}  # which a reader knows better
            into.ended[folder.name] = IndexedRun(lasting(traces, run.record), list(row.values()))


def _row(folder: str, run: IndexedRun, columns: Iterable[str]) -> Row:
    row = dict(zip(columns, run.values, strict=True))
    row["folder"] = folder
    return row

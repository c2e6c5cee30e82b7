"""All runs of a folder from the index, those under way as they truly stand."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.cli import screen
from harness.cli.run_lookup import reconciled_runs, with_its_log
from harness.runs.columns import Row, row_of
from harness.runs.index.update import indexed_runs
from harness.runs.selection import Selection
from harness.runs.store import StoredRun

_LOG_BYTES = 32 * 1024**2
"""How much of an unfinished run's log is read for its row, which takes a second."""

_MANY = 500
"""How many records are read before one is told: a second's work, at the most."""


class FoundRows(NamedTuple):
    """Rows of runs that may fit a selection; `total` counts all runs there are, `unsound` says that some had a problem.

    `pending_reasons` are Slurm's, of submitted runs by their ids.
    """

    rows: list[Row]
    total: int
    pending_reasons: Mapping[str, str]
    unsound: bool


def find_rows(root: Path, selection: Selection | None = None) -> FoundRows:
    """The rows of all runs under a root; of those under way only what may fit is asked after."""
    selection = selection or Selection()
    found = indexed_runs(root, _told)
    for warning in found.warnings:
        screen.notice(warning)
    if found.unkept and found.count > _MANY:
        screen.notice(f"the index of runs cannot be kept, so that each call reads all records: {found.unkept}")
    wanted = [run for run in found.unfinished if selection.may_come_to_fit(row_of(run))]
    runs, reconciled = reconciled_runs(wanted)
    jobs = {run.record.run_id: reconciled.job_of(run) for run in runs} if reconciled else {}
    return FoundRows(
        rows=[*found.ended, *(row_of(_as_logged(run)) for run in runs)],
        total=found.count,
        pending_reasons={name: job.reason for name, job in jobs.items() if job and job.pending and job.reason},
        unsound=any(run.problem for run in runs),
    )


def _as_logged(run: StoredRun) -> StoredRun:
    return with_its_log(run, most_bytes=_LOG_BYTES)[0]


def _told(folders: Sequence[Path]) -> Iterable[Path]:
    """Tell how far the reading of many records is: a bar on a terminal, else a line."""
    if len(folders) < _MANY:
        return folders
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        screen.progress(f"reading {len(folders):,} records, which are indexed then")
        return folders
    from tqdm import tqdm

    return tqdm(folders, desc="reading records", unit=" records", dynamic_ncols=True, leave=False)

"""Find runs: each has a folder of its own under OUTPUT_PATH, and in it `record.json`."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import HarnessError, nearest
from harness.launch.attempts import read_attempts
from harness.launch.rundir import RunPaths
from harness.results.record import UNFINISHED, RunRecord
from harness.results.record_file import UnreadableRecord, load

RECORD_NAME = "record.json"
COPIES = ".submitted"
"""The folder under OUTPUT_PATH that holds the records of submitted runs until they have ended."""


class RunNotFound(HarnessError):
    """No run, or more than one, is meant by what the user wrote."""


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A record and the folder it lies in. `removed`: someone removed that, and the record is a copy.

    `problem` says why the record that is told here could not be written.
    """

    folder: Path
    record: RunRecord
    removed: bool = False
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunList:
    """The readable runs, the newest first, and a warning for each record that cannot be read."""

    runs: tuple[StoredRun, ...]
    warnings: tuple[str, ...]


def record_path(folder: Path) -> Path:
    """Where a run's folder keeps its record."""
    return folder / RECORD_NAME


def copy_path(folder: Path) -> Path:
    """Where a second record of a submitted run lies, in case its folder is removed before it has ended."""
    return folder.parent / COPIES / f"{folder.name}.json"


def list_runs(root: Path) -> RunList:
    """All runs under a root; folders without a record are none of ours."""
    runs: list[StoredRun] = []
    warnings: list[str] = []
    with _without_collector():
        for folder in _run_folders(root):
            try:
                runs.append(load_run(folder))
            except UnreadableRecord as problem:
                warnings.append(str(problem))
    runs.sort(key=lambda run: (run.record.created, run.record.run_id), reverse=True)
    return RunList(runs=tuple(runs), warnings=tuple(warnings))


@contextmanager
def _without_collector() -> Iterator[None]:
    """Records hold no cycles, and among thousands of them the search for some takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def find_run(root: Path, wanted: str) -> StoredRun:
    """The run that is meant by its id, the beginning of its id, its folder, or its record's path."""
    return load_run(_folder_at(Path(wanted).expanduser()) or _folder_named(root, wanted))


def load_run(folder: Path) -> StoredRun:
    """The run of a folder, or of the copy of its record if the folder was removed."""
    removed = not record_path(folder).is_file()
    record = load(copy_path(folder) if removed else record_path(folder))
    return StoredRun(folder=folder, record=_with_later_starts(record, folder), removed=removed)


def _with_later_starts(record: RunRecord, folder: Path) -> RunRecord:
    """The record of an ended run, under way again where `scontrol requeue` or its script by hand started it since."""
    if record.status in UNFINISHED or record.job.on != "slurm":
        return record
    starts = read_attempts(RunPaths(folder))
    if len(starts) <= len(record.attempts):
        return record
    job = replace(record.job, job_id=starts[-1].job_id or record.job.job_id)
    return replace(record, status="running", ended=None, error=None, job=job)


def _folder_at(path: Path) -> Path | None:
    if path.name == RECORD_NAME and path.is_file():
        return path.parent
    return path if record_path(path).is_file() else None


def _folder_named(root: Path, wanted: str) -> Path:
    folders = {folder.name: folder for folder in _run_folders(root)}
    if wanted in folders:
        return folders[wanted]
    begun = [name for name in folders if wanted and name.startswith(wanted)]
    if len(begun) == 1:
        return folders[begun[0]]
    if begun:
        raise RunNotFound(
            f"{wanted}: {len(begun)} runs in {root} begin with this: {_some(begun)}; write more of the id"
        )
    if not folders:
        raise RunNotFound(f"{wanted}: there are no runs in {root}; OUTPUT_PATH names the folder that is searched")
    raise RunNotFound(f"{wanted}: no such run in {root}; {nearest(wanted, folders)}")


def _run_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    recorded = {folder for folder in root.iterdir() if record_path(folder).is_file()}
    return sorted(recorded | {root / copy.stem for copy in (root / COPIES).glob("[!.]*.json")})


def _some(names: Sequence[str], shown: int = 5) -> str:
    return ", ".join(names[:shown]) + (", …" if len(names) > shown else "")

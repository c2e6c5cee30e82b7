"""Find runs: each has a folder of its own under OUTPUT_PATH, and in it `record.json`."""

import gc
import os
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.disk import expanded, is_file
from harness.errors import EnvironmentProblem, HarnessError, nearest
from harness.launch.rundir import RunPaths
from harness.launch.slurm.job_state import SubmittedIn
from harness.runs.reconcile.invalidate import invalidated
from harness.runs.record import RunRecord
from harness.runs.record_file import DamagedRecord, UnreadableRecord, load

COPIES = ".submitted"
"""The folder under OUTPUT_PATH that holds the records of submitted runs until they have ended."""

type Stamp = tuple[int, int, int]
"""What tells one state of a record file from another: inode, size and time of change."""


class RunNotFound(HarnessError):
    """No run, or more than one, is meant by what the user wrote."""


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A record and the folder it lies in. `removed`: someone removed that, and the record is a copy.

    `problem` says why the record here could not be written. `stamp` is the record file's, as it was read.
    """

    folder: Path
    record: RunRecord
    removed: bool = False
    problem: str | None = None
    stamp: Stamp | None = field(default=None, compare=False)

    @property
    def paths(self) -> RunPaths:
        """Where the run keeps what."""
        return RunPaths(self.folder)

    @property
    def opened_as(self) -> str:
        """The folder that the run was opened as, wherever it may have been moved since: RUN_DIR of its processes."""
        return self.record.paths.get("root", str(self.folder))

    @property
    def submitted_in(self) -> SubmittedIn:
        """By what Slurm knows the job."""
        return SubmittedIn(self.record.paths.get("submitted_in", self.opened_as), self.record.job.task)


@dataclass(frozen=True, kw_only=True)
class RunList:
    """The readable runs, the newest first, and the records that cannot be read, each with a warning that says why."""

    runs: tuple[StoredRun, ...]
    unreadable: dict[Path, str]

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line for each record that cannot be read."""
        return tuple(self.unreadable.values())


def copy_path(folder: Path) -> Path:
    """Where a second record of a submitted run lies, in case its folder is removed before it has ended."""
    return folder.parent / COPIES / f"{folder.name}.json"


def stamp_of(path: Path) -> Stamp | None:
    """A file's stamp; None where there is no file. UnreadableRecord if others keep the folder to themselves."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnreadableRecord(f"{path}: cannot read this record: {error.strerror}") from error
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def is_ours(run: StoredRun) -> bool:
    """Whether a run is of this user, to whom its job is known and its record to be written; root's are all."""
    for path in (run.folder, copy_path(run.folder)):
        with suppress(OSError):
            return os.getuid() in (0, path.stat().st_uid)
    return True


def list_runs(root: Path) -> RunList:
    """All runs under a root; folders without a record are none of ours."""
    runs: list[StoredRun] = []
    unreadable: dict[Path, str] = {}
    with without_collector():
        for folder in run_folders(root):
            try:
                runs.append(load_run(folder))
            except UnreadableRecord as problem:
                unreadable[RunPaths(folder).record] = str(problem)
    runs.sort(key=lambda run: (run.record.created, run.record.run_id), reverse=True)
    return RunList(runs=tuple(runs), unreadable=unreadable)


@contextmanager
def without_collector() -> Iterator[None]:
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
    return load_run(_folder_at(wanted) or _folder_named(root, wanted))


def load_run(folder: Path) -> StoredRun:
    """The run of a folder; of the copy of its record where the folder was removed, or the record is damaged."""
    path, copy = RunPaths(folder).record, copy_path(folder)
    stamp = stamp_of(path)
    removed = stamp is None
    try:
        record = load(copy if removed else path)
    except DamagedRecord:
        if removed or not is_file(copy):
            raise
        record = load(copy)
    return StoredRun(folder=folder, record=invalidated(record, RunPaths(folder)), removed=removed, stamp=stamp)


def reread(run: StoredRun) -> StoredRun:
    """The run as whoever else looks after it has left it."""
    try:
        stamp = stamp_of(run.paths.record)
    except UnreadableRecord as problem:
        return replace(run, problem=str(problem))
    if stamp is not None and stamp == run.stamp:
        return replace(run, record=invalidated(run.record, run.paths), removed=False)
    try:
        return load_run(run.folder)
    except UnreadableRecord:  # removed together with its copy, or damaged
        return replace(run, removed=stamp is None, stamp=stamp)


def _folder_at(text: str) -> Path | None:
    path = expanded(text)
    if is_file(path) and path == RunPaths(path.parent).record:
        return path.parent
    return path if is_file(RunPaths(path).record) else None


def _folder_named(root: Path, wanted: str) -> Path:
    folders = {folder.name: folder for folder in run_folders(root)}
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


def run_folders(root: Path, besides: Container[str] = ()) -> list[Path]:
    """Folders with a record, and those that had one; a folder that others keep to themselves is none of ours.

    The names `besides` which one asks are those that need no look.
    """
    try:
        found = os.listdir(root)  # noqa: PTH208  ten thousand paths as objects, and their tests, would take half a second
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise EnvironmentProblem(
            f"{root}: cannot be read: {error.strerror}; ask for permission, or name another folder by --output-path"
        ) from error
    record = RunPaths(root).record.name
    asked = (name for name in found if name not in besides)
    recorded = {root / name for name in asked if os.path.isfile(f"{root}/{name}/{record}")}  # noqa: PTH113
    copied = {root / it.stem for it in (root / COPIES).glob("[!.]*.json") if it.stem not in besides}
    return sorted(recorded | {folder for folder in copied - recorded if not _is_closed(folder)})


def _is_closed(folder: Path) -> bool:
    try:
        stamp_of(RunPaths(folder).record)
    except UnreadableRecord:
        return True
    return False


def _some(names: Sequence[str], shown: int = 5) -> str:
    return ", ".join(names[:shown]) + (", …" if len(names) > shown else "")

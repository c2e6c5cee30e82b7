"""Find runs: each has a folder of its own under OUTPUT_PATH, and in it `record.json`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, nearest
from harness.results.record import RunRecord
from harness.results.record_file import UnreadableRecord, load

RECORD_NAME = "record.json"


class RunNotFound(HarnessError):
    """No run, or more than one, is meant by what the user wrote."""


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A record and the folder it lies in."""

    folder: Path
    record: RunRecord


@dataclass(frozen=True, kw_only=True)
class RunList:
    """The readable runs, the newest first, and a warning for each record that cannot be read."""

    runs: tuple[StoredRun, ...]
    warnings: tuple[str, ...]


def record_path(folder: Path) -> Path:
    """Where a run's folder keeps its record."""
    return folder / RECORD_NAME


def list_runs(root: Path) -> RunList:
    """All runs under a root; folders without a record are none of ours."""
    runs: list[StoredRun] = []
    warnings: list[str] = []
    for folder in _run_folders(root):
        try:
            runs.append(StoredRun(folder=folder, record=load(record_path(folder))))
        except UnreadableRecord as problem:
            warnings.append(str(problem))
    runs.sort(key=lambda run: (run.record.created, run.record.run_id), reverse=True)
    return RunList(runs=tuple(runs), warnings=tuple(warnings))


def find_run(root: Path, wanted: str) -> StoredRun:
    """The run that is meant by its id, the beginning of its id, its folder, or its record's path."""
    folder = _folder_at(Path(wanted).expanduser()) or _folder_named(root, wanted)
    return StoredRun(folder=folder, record=load(record_path(folder)))


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
    return sorted(folder for folder in root.iterdir() if record_path(folder).is_file())


def _some(names: Sequence[str], shown: int = 5) -> str:
    return ", ".join(names[:shown]) + (", …" if len(names) > shown else "")

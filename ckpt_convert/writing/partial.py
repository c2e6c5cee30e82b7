"""The folder beside the target in which everything happens until the target appears in one step.

TARGET.partial/content becomes the target; `journal.jsonl` and `lock` beside it never do, so that a kill between any two
steps leaves either a conversion that can be resumed or one that is whole.
"""

import errno
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ckpt_convert.writing.journal import Journal
from ckpt_convert.writing.problems import writing
from harness.disk import sync_folder
from harness.errors import ConfigError

JOURNAL = "journal.jsonl"
_NO_LOCKS_HERE = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # a parallel file system mounted without flock


class Partial:
    """Folder, content and journal of a conversion that holds the lock."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.folder = partial_folder(target)
        self.content = self.folder / "content"
        self.journal_path = self.folder / JOURNAL
        self.journal = Journal(self.journal_path)

    def publish(self) -> None:
        """Rename the content to the target. Its files must be complete and on the disk; the folders need not be."""
        with writing(self.target, resumable=True):
            for folder, _, _ in os.walk(self.content):
                sync_folder(Path(folder))
            self.content.rename(self.target)
            sync_folder(self.target.parent)

    @property
    def is_published(self) -> bool:
        """Whether an earlier run ended after it had published and before it had cleaned up."""
        return self.journal.fingerprint is not None and not self.content.exists() and has_entries(self.target)

    def remove(self) -> None:
        """Remove the folder, the journal last: as long as it is there, it says what happened."""
        shutil.rmtree(self.content, ignore_errors=True)
        _lock_path(self.folder).unlink(missing_ok=True)
        self.journal_path.unlink(missing_ok=True)
        with suppress(OSError):  # another converter may have come in
            self.folder.rmdir()


def partial_folder(target: Path) -> Path:
    """The folder in which the target is written."""
    named = target if target.name not in ("", "..") else target.resolve()
    return named.parent / f"{named.name}.partial"


def has_entries(target: Path) -> bool:
    """Whether something is there that must not be overwritten; an empty folder is nothing, a link to one is a link."""
    is_empty_folder = target.is_dir() and next(target.iterdir(), None) is None
    return target.is_symlink() or (target.exists() and not is_empty_folder)


@contextmanager
def claimed(target: Path) -> Iterator[Partial]:
    """The target's partial folder, locked within the block. ConfigError where another converter has it."""
    descriptor = _lock(target)
    try:
        partial = Partial(target)
        if partial.journal.fingerprint is None and partial.content.exists():
            raise _foreign(partial)
        try:
            yield partial
        finally:
            if partial.journal.fingerprint is None:  # refused before anything was begun
                partial.remove()
    finally:
        os.close(descriptor)


def _lock(target: Path) -> int:
    """The descriptor of the locked lock file, with our process id in it."""
    folder = partial_folder(target)
    while True:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(_lock_path(folder), os.O_RDWR | os.O_CREAT, 0o644)
            except FileNotFoundError:  # the converter before us has just removed the folder
                continue
        if not _take(descriptor):
            raise _other_converter(descriptor, target)
        if _is_file(descriptor, _lock_path(folder)):
            break
        os.close(descriptor)
    with writing(folder):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
    return descriptor


def _take(descriptor: int) -> bool:
    """Lock the file; False where another process has locked it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
    return True


def _other_converter(descriptor: int, target: Path) -> ConfigError:
    owner = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
    os.close(descriptor)
    return ConfigError(f"{target}: another converter is writing it ({owner}): wait for it or choose another target")


def _foreign(partial: Partial) -> ConfigError:
    """The folder has a journal before it has content, and content only as long as it has a journal."""
    _lock_path(partial.folder).unlink(missing_ok=True)
    return ConfigError(
        f"{partial.folder} is no interrupted conversion: there is no {JOURNAL}; remove it or choose another target"
    )


def _is_file(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one of that name: the converter before us removes its lock."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _lock_path(folder: Path) -> Path:
    return folder / "lock"

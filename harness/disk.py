"""Files as users and other machines leave them: what must outlive a crash, and paths that may be anything."""

import os
import stat
from contextlib import suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Put the folder's entries on the disk: new names, and names that went."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old one or the new one, never a part. OSError leaves the old one."""
    # Processes of two hosts, or of two containers, may have one number.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with temporary.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def make_shared(folder: Path) -> None:
    """Make a folder for whoever may write to the one that holds it; OSError says why it cannot be made."""
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(stat.S_IMODE(folder.parent.stat().st_mode))


def is_file(path: Path) -> bool:
    """Whether there is a file, as far as this user may see; no path is too odd to ask."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # not allowed to look, too long, with a NUL
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder, as far as this user may see."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def expanded(text: str) -> Path:
    """A path as a user wrote it, with their home for `~`; `~NOBODY` stays as it is."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)

"""The revision of the project that a run was made with."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Revision:
    """The commit, and whether tracked files differ from it. None where there is no git history to ask."""

    commit: str | None = None
    dirty: bool | None = None


def revision_of(folder: Path) -> Revision:
    """Ask git; an installed package outside a repository, or a machine without git, has no revision."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return Revision()
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return Revision(commit=commit, dirty=None if changes is None else bool(changes))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

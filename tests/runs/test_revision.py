"""The revision of a real repository, before and after a change."""

import subprocess
from pathlib import Path

from harness.runs.revision import Revision, revision_of


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_commit_and_dirty_flag(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("")
    assert revision_of(tmp_path) == Revision(commit=commit, dirty=False)
    (tmp_path / "file").write_text("two")
    assert revision_of(tmp_path) == Revision(commit=commit, dirty=True)


def test_no_repository_is_no_revision(tmp_path: Path) -> None:
    assert revision_of(tmp_path) == Revision()
    assert revision_of(tmp_path / "none") == Revision()

"""What tells files from others that lie under the same names at another time."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

_OF_TOKENIZER = ("*token*", "vocab.*", "merges.txt", "chat_template*", "*.model")
"""The files that make tokens of texts, among those of a folder that may hold weights too."""


def fingerprint_of_files(files: Sequence[Path]) -> str:
    """A text that changes with the names, sizes or times of files; one that cannot be seen from here is named so.

    Empty for no files.
    """
    if not files:
        return ""
    lines = []
    for path in sorted(files):
        try:
            found = path.stat()
            lines.append(f"{path.name} {found.st_size} {found.st_mtime_ns}")
        except OSError:
            lines.append(f"{path.name} unseen")
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def tokenizer_sha256(folder: str | None) -> str | None:
    """The hash of what the files of a tokenizer hold; None for bytes, and where nothing of it is seen from here.

    Of the content, not of the times: each checkpoint has a copy of its own, and results of two are compared.
    """
    found = {path for pattern in _OF_TOKENIZER for path in Path(folder).glob(pattern)} if folder is not None else ()
    files = sorted(path for path in found if path.is_file())
    held = "\n".join(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    return hashlib.sha256(held.encode(errors="surrogateescape")).hexdigest() if files else None


def fingerprint_of_tasks(include_path: str | None, tasks: Sequence[str]) -> str:
    """What tells the user's own tasks, a folder of files and files named themselves, from others; empty without any."""
    named = [Path(task) for task in tasks]
    below = Path(include_path).rglob("*") if include_path is not None else ()
    return fingerprint_of_files([path for path in (*named, *below) if path.is_file()])

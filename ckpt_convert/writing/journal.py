"""The list of finished files, from which a conversion resumes after an interruption.

A line of JSON each: first what is converted into what, then every file whose bytes are on the disk.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ckpt_convert.writing.problems import writing
from harness.disk import sync_folder
from harness.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What identifies a conversion: only one of the same plan and source may go on with another's files."""

    plan: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A file that is complete on the disk."""

    name: str
    size_bytes: int
    sha256: str


class Journal:
    """The journal at `path`, if there is one; a line that an interruption cut short is ignored."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = list(_whole_lines(path))
        self._whole_bytes = sum(map(len, lines))
        try:
            documents = [json.loads(line) for line in lines]
            self.fingerprint = Fingerprint(**documents[0]) if documents else None
            self.finished: Mapping[str, Finished] = {line["name"]: Finished(**line) for line in documents[1:]}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ConfigError(f"{path} is damaged: remove {path.parent} to begin anew") from error

    def begin(self, fingerprint: Fingerprint) -> None:
        """Start a journal without finished files; one of the same fingerprint is kept."""
        if self.fingerprint == fingerprint:
            with writing(self._path, resumable=True):
                os.truncate(self._path, self._whole_bytes)
            return
        with writing(self._path):
            self._path.unlink(missing_ok=True)
            self._append(asdict(fingerprint))
            self.fingerprint = fingerprint
            sync_folder(self._path.parent)

    def add(self, file: Finished) -> None:
        """Record a file that is on the disk."""
        with writing(self._path, resumable=True):
            self._append(asdict(file))

    def _append(self, document: Mapping[str, object]) -> None:
        with self._path.open("ab") as stream:
            stream.write(json.dumps(document).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())


def _whole_lines(path: Path) -> Iterator[bytes]:
    content = path.read_bytes() if path.exists() else b""
    return (line for line in content.splitlines(keepends=True) if line.endswith(b"\n"))

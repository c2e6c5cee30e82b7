"""JSON files, and the ways in which a download leaves something else in a file's place."""

import json
from collections.abc import Mapping
from pathlib import Path

from harness.errors import ConfigError

LFS_POINTER = b"version https://git-lfs"
"""The start of the small text that git leaves where it did not fetch a large file."""

_MAX_FILE_BYTES = 256 * 2**20  # the index of DeepSeek-V3 has 9 MB


def no_file_problem(path: Path) -> str | None:
    """What is wrong where no file can be opened at the path (links to a cache's files are fine), else None."""
    if path.is_file():
        return None
    if path.is_symlink() and not path.exists():
        return f"{path}: links to {path.readlink()}, which is not there: download it again"
    return f"{path}: not a file" if path.exists() else f"{path}: no such file: download it again"


def lfs_problem(path: Path) -> str:
    """What to do about a file that git has not fetched."""
    return f"{path}: is only git-lfs's pointer to the file: run `git lfs pull` in {path.parent}"


def read_json_file(path: Path) -> dict[str, object]:
    """The object that the file holds; ConfigError where there is none."""
    if problem := no_file_problem(path):
        raise ConfigError(problem)
    try:
        size_bytes = path.stat().st_size
        if size_bytes > _MAX_FILE_BYTES:
            raise ConfigError(f"{path}: has {size_bytes} bytes; {_MAX_FILE_BYTES} are the most this file can mean")
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if raw.startswith(LFS_POINTER):
        raise ConfigError(lfs_problem(path))
    return parse_json(raw, str(path))


def parse_json(raw: bytes, where: str) -> dict[str, object]:
    """The object that the text holds; ConfigError, starting with `where`, for anything else, or a name given twice."""
    try:
        content = json.loads(raw, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not JSON ({error}): the file is damaged, download it again") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: a JSON object is needed, found {type(content).__name__}")
    return content


def _without_duplicates(pairs: list[tuple[str, object]]) -> Mapping[str, object]:
    """A JSON object; json would silently keep the last of two values for one name."""
    content: dict[str, object] = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(f"{name!r} is there twice")
        content[name] = value
    return content

"""integrity.json: the SHA-256 of every other file of a checkpoint, in the form that Megatron 0.17 and later verify."""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ckpt_convert.reading.json_file import read_json_file
from harness.errors import ConfigError

MANIFEST = "integrity.json"


@dataclass(frozen=True, kw_only=True)
class Hashed:
    """How many files were hashed, and what is wrong with the folder."""

    files: int
    damage: tuple[str, ...]


def listing_flaws(folder: Path) -> tuple[str, ...]:
    """Differences between the files that are there and those that the manifest, if there is one, names."""
    try:
        wanted = _manifest(folder)
    except ConfigError as error:
        return error.problems
    return () if wanted is None else tuple(_listing_flaws(folder, wanted))


def check_files(folder: Path, *, threads: int) -> Hashed | None:
    """Hash every file that the manifest names; None where there is no manifest."""
    try:
        wanted = _manifest(folder)
    except ConfigError as error:
        return Hashed(files=0, damage=error.problems)
    if wanted is None:
        return None
    names = sorted(_listed(folder) & wanted.keys())
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda name: _sha256(folder / name), names)
        changed = [
            f"{folder / name}: changed: SHA-256 {sha256[:16]}…, {MANIFEST} says {wanted[name]:.16}…"
            for name, sha256 in zip(names, found, strict=True)
            if sha256 != wanted[name]
        ]
    return Hashed(files=len(names), damage=(*_listing_flaws(folder, wanted), *changed))


def _manifest(folder: Path) -> Mapping[str, str] | None:
    """The sums by file name; None where there is no manifest, ConfigError where it is none."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    document = read_json_file(path)
    files = document.get("files")
    is_sound = document.keys() == {"algorithm", "files"} and document["algorithm"] == "sha256"
    if not is_sound or not isinstance(files, dict) or not all(isinstance(sha256, str) for sha256 in files.values()):
        raise ConfigError(f"{path}: damaged: it is no list of SHA-256 sums; convert or copy the checkpoint again")
    return files


def _listing_flaws(folder: Path, wanted: Mapping[str, str]) -> Iterator[str]:
    there = _listed(folder)
    for name in sorted(wanted.keys() - there):
        yield f"{folder / name}: missing, though {MANIFEST} names it"
    for name in sorted(there - wanted.keys()):
        yield f"{folder / name}: not in {MANIFEST}"


def _listed(folder: Path) -> set[str]:
    """The files that a manifest has to name."""
    return {entry.name for entry in folder.iterdir() if entry.is_file() and entry.name != MANIFEST}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

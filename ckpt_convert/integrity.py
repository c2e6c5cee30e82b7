"""integrity.json: the SHA-256 of every other file of a checkpoint, in the form that Megatron 0.17 and later verify."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "integrity.json"


@dataclass(frozen=True, kw_only=True)
class Hashed:
    """How many files were hashed, and what is wrong with the folder."""

    files: int
    damage: tuple[str, ...]


def check_files(folder: Path, *, threads: int) -> Hashed | None:
    """Hash every file that the manifest names; None where there is no manifest."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    wanted = _read(path)
    if wanted is None:
        return Hashed(files=0, damage=(f"{path} is damaged: it is no list of SHA-256 sums",))
    there = {entry.name for entry in folder.iterdir() if entry.is_file() and entry.name != MANIFEST}
    unlisted = [f"{folder / name} is not in {MANIFEST}" for name in sorted(there - wanted.keys())]
    missing = [f"{folder / name} is missing" for name in sorted(wanted.keys() - there)]
    names = sorted(there & wanted.keys())
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda name: _sha256(folder / name), names)
        changed = [
            f"{folder / name} was changed: SHA-256 {sha256[:16]}…, {MANIFEST} says {wanted[name][:16]}…"
            for name, sha256 in zip(names, found, strict=True)
            if sha256 != wanted[name]
        ]
    return Hashed(files=len(names), damage=(*unlisted, *missing, *changed))


def _read(path: Path) -> dict[str, str] | None:
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        return None
    if not isinstance(document, dict) or document.keys() != {"algorithm", "files"}:
        return None
    files = document["files"]
    return files if document["algorithm"] == "sha256" and isinstance(files, dict) else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

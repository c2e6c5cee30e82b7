"""Unpack an archive of runs. What it holds may come from anybody: nothing is written outside its own new folders."""

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.disk import is_file
from harness.errors import ConfigError, EnvironmentProblem
from harness.launch.rundir import output_problem
from harness.runs.archive import contents
from harness.runs.archive.contents import changed_texts, replacing
from harness.runs.record import UNFINISHED, epoch_of
from harness.runs.record_file import UnreadableRecord, load

_CHUNK = 1024**2
_MOST_JSON_BYTES = 256 * 1024**2
_FILES = (contents.RECORD, contents.SAMPLES, contents.LOG)
_FOLDERS = (contents.RESULTS, contents.CHECKPOINTS)


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """Runs that are new here, those that were here already, and those refused, with a reason each."""

    imported: tuple[str, ...]
    present: tuple[str, ...]
    refused: Mapping[str, str]


def unpack_runs(archive: Path, root: Path) -> Unpacked:
    """Unpack runs under a root; each is there whole or not at all. ConfigError says why none was imported.

    Refused are an archive that is damaged, cut off or newer than this program, or that holds anything but files of
    runs; and, alone, a run whose record is damaged, of a newer version, or not that of a run that has ended.
    """
    if not is_file(archive):
        raise ConfigError(f"{archive}: no such file")
    library = contents.zstandard()
    staging = root / f".import-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
    except OSError as error:
        raise output_problem(root, error) from error
    try:
        sums = _extract(archive, staging, library)
        manifest = _manifest(archive, staging, sums)
        return _place(archive, staging, root, manifest)
    except OSError as error:
        raise EnvironmentProblem(f"{error.filename or root}: {error.strerror}; nothing was imported") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _extract(archive: Path, staging: Path, library: Any) -> dict[str, str]:
    """Write every file of the archive under a folder, and return their checksums."""
    sums: dict[str, str] = {}
    try:
        with archive.open("rb") as file, library.ZstdDecompressor().stream_reader(file) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as members:
                for member in members:
                    if member.name in sums:
                        raise ConfigError(f"{archive}: {member.name!r:.80} stands there twice; nothing was imported")
                    path = staging / _safe_name(archive, member)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    content = members.extractfile(member)
                    assert content is not None  # it is a regular file
                    sums[member.name] = _write(content, path)
    except (library.ZstdError, tarfile.TarError, EOFError, UnicodeError) as error:
        raise ConfigError(f"{archive}: damaged, or no archive of runs ({error}); nothing was imported") from None
    return sums


def _safe_name(archive: Path, member: tarfile.TarInfo) -> str:
    """The member's name. ConfigError for a link, a device, or a name that leads anywhere else than into a run."""
    if not member.isreg():
        raise ConfigError(
            f"{archive}: {member.name!r:.80} is no plain file but a link, folder or device; refused whole"
        )
    parts = member.name.split("/")
    odd = any(part in ("", ".", "..") or "\\" in part or not part.isprintable() for part in parts)
    inside = (
        parts == [contents.MANIFEST]
        or (len(parts) == 2 and parts[1] in _FILES)
        or (len(parts) > 2 and parts[1] in _FOLDERS)
    )
    if odd or not inside or parts[0].startswith("."):
        raise ConfigError(
            f"{archive}: {member.name!r:.80} leads out of a run's folder, or is no file of one; refused whole"
        )
    return member.name


def _write(content: IO[bytes], path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("xb") as file:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _manifest(archive: Path, staging: Path, sums: Mapping[str, str]) -> tuple[str, ...]:
    """The runs that the archive says it holds, all of whose files are there as they were packed."""
    try:
        manifest = json.loads(_text(staging / contents.MANIFEST))
        version, names, expected = manifest["format_version"], manifest["runs"], manifest["sha256"]
        is_ours = manifest["format"] == contents.FORMAT and all(isinstance(name, str) for name in names)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ConfigError(
            f"{archive}: cut off, or no archive of runs: it has no {contents.MANIFEST} at its end; nothing was imported"
        ) from None
    if not is_ours or type(version) is not int:
        raise ConfigError(f"{archive}: no archive of runs; nothing was imported")
    if version > contents.FORMAT_VERSION:
        raise ConfigError(
            f"{archive}: its format, {version}, is newer than this moe-harness, which reads up to"
            f" {contents.FORMAT_VERSION}; use a newer moe-harness"
        )
    found = {name: value for name, value in sums.items() if name != contents.MANIFEST}
    if expected != found or {name.partition("/")[0] for name in found} != set(names):
        raise ConfigError(f"{archive}: damaged: its files are not those of its manifest; nothing was imported")
    return tuple(names)


def _place(archive: Path, staging: Path, root: Path, names: tuple[str, ...]) -> Unpacked:
    """Move the good runs to where they belong."""
    refused: dict[str, str] = {}
    for name in names:
        if reason := _prepare(staging / name, root):
            refused[name] = reason
    good = [name for name in names if name not in refused]
    present = tuple(name for name in good if (root / name).exists())
    if others := [name for name in present if not _is_same_run(staging / name, root / name)]:
        raise ConfigError(
            [
                f"{root / name}: another run of this id is here; move it away, and import {archive} again"
                for name in others
            ]
        )
    new = [name for name in good if name not in present]
    for name in new:
        (staging / name).rename(root / name)
    return Unpacked(imported=tuple(new), present=present, refused=refused)


def _is_same_run(one: Path, other: Path) -> bool:
    try:
        first, second = (json.loads(_text(folder / contents.RECORD)) for folder in (one, other))
    except (OSError, ValueError, RecursionError):
        return False
    return bool(first == second)


def _prepare(folder: Path, root: Path) -> str | None:
    """Make the paths of a run true here; says why the run cannot be taken."""
    record = folder / contents.RECORD
    here = replacing({contents.RUNS_MARK: str(root.absolute())})
    try:
        for path in (record, *sorted((folder / contents.RESULTS).rglob("*.json"))):
            _rewrite(path, lambda text: json.dumps(changed_texts(json.loads(text), here), indent=1, ensure_ascii=False))
        if is_file(samples := folder / contents.SAMPLES):
            _rewrite(samples, lambda text: "\n".join(_line(line, here) for line in text.split("\n")).rstrip("\n"))
        run = load(record)
    except UnreadableRecord as problem:
        return str(problem).removeprefix(f"{record}: ")
    except (ValueError, RecursionError) as error:
        return f"this record, or a file beside it, is damaged: {error}"
    except FileNotFoundError as error:
        return f"it has no {Path(error.filename).name}"
    if run.status in UNFINISHED:
        return f"its record says that it is still {run.status}"
    if run.run_id != folder.name:
        return f"its record is that of another run, {run.run_id!r:.60}"
    moment = epoch_of(run.ended or run.created)  # a log younger than its run's end would be news of a lost run
    for path in folder.rglob("*"):
        with suppress(OSError):
            os.utime(path, (moment, moment))
    return None


def _rewrite(path: Path, change: Any) -> None:
    text = change(_text(path))
    path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _line(line: str, here: Any) -> str:
    return json.dumps(changed_texts(json.loads(line), here), ensure_ascii=False) if line else ""


def _text(path: Path) -> str:
    if path.stat().st_size > _MOST_JSON_BYTES:
        raise ValueError(f"{path.name} is larger than any such file")
    return path.read_text(encoding="utf-8")

"""Pack runs into an archive."""

import getpass
import hashlib
import io
import json
import os
import socket
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.secrets import scrub, secret_values
from harness.disk import is_file
from harness.errors import ConfigError, EnvironmentProblem
from harness.runs.archive import contents
from harness.runs.archive.contents import changed_texts, replacing
from harness.runs.archive.scrub import Scrubber, accounts_in, hosts_in
from harness.runs.columns import row_of
from harness.runs.record import UNFINISHED
from harness.runs.store import StoredRun

_LEVEL = 10


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What was packed: runs by their names in the archive, its size, and what was left out, a line each."""

    runs: tuple[str, ...]
    size_bytes: int
    left_out: tuple[str, ...]


def pack_runs(
    runs: Sequence[StoredRun],
    target: Path,
    *,
    scrubbed: bool = False,
    logs: bool = False,
    checkpoints: bool = False,
    overwrite: bool = False,
) -> Packed:
    """Write the archive whole or not at all. ConfigError says all that keeps it from being written."""
    if problems := list(_problems(runs, target, scrubbed and checkpoints, overwrite)):
        raise ConfigError(problems)
    library = contents.zstandard()
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}")
    writer = _Writer(runs, scrubbed=scrubbed)
    try:
        with temporary.open("xb") as file:
            compressor = library.ZstdCompressor(level=_LEVEL, write_checksum=True)
            with compressor.stream_writer(file, closefd=False) as stream:
                with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
                    names = tuple(writer.write(archive, run, logs=logs, checkpoints=checkpoints) for run in runs)
                    writer.close(archive, names)
            file.flush()
            os.fsync(file.fileno())
        size_bytes = temporary.stat().st_size
        temporary.replace(target)
    except OSError as error:
        raise EnvironmentProblem(f"{error.filename or target}: {error.strerror}; no archive was written") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return Packed(runs=names, size_bytes=size_bytes, left_out=tuple(writer.left_out))


def _problems(runs: Sequence[StoredRun], target: Path, unscrubbable: bool, overwrite: bool) -> Iterator[str]:
    if not target.name.endswith(contents.SUFFIX):
        yield f"{target}: an archive's name ends in {contents.SUFFIX}; write it before the runs: runs export FILE RUN…"
    elif target.is_dir():
        yield f"{target}: is a folder; name a file"
    elif target.exists() and not overwrite:
        yield f"{target}: is there already; --overwrite replaces it"
    if unscrubbable:
        yield "--scrub: checkpoints hold paths in a form that cannot be scrubbed; leave out --checkpoints or --scrub"
    for run in runs:
        if run.record.status in UNFINISHED:
            yield f"{run.record.run_id}: is {run.record.status}; export it when it has ended (moe-harness runs watch)"
        if Path(run.record.run_id).name != run.record.run_id or run.record.run_id.startswith("."):
            yield f"{run.paths.record}: {run.record.run_id!r:.60} is no id of a run"
    names = [run.record.run_id for run in runs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name}: two runs have this id; export them into two archives"


class _Writer:
    """Writes runs into an open archive, each text as it is to stand there."""

    def __init__(self, runs: Sequence[StoredRun], *, scrubbed: bool) -> None:
        self._scrubbed = scrubbed
        self._documents = {run.folder: _document(run) for run in runs}
        self._prefixes = dict(_prefixes(runs))
        self._secrets = secret_values(os.environ, *(run.record.resolved.env for run in runs))
        self._scrubber = self._new_scrubber() if scrubbed else None
        self._sums: dict[str, str] = {}
        self.left_out: list[str] = []

    def write(self, archive: tarfile.TarFile, run: StoredRun, *, logs: bool, checkpoints: bool) -> str:
        """Add a run; returns its name in the archive."""
        results = _results(run, self._documents)
        self._prefixes |= {str(path): self._mark(run, name) for name, path in results.items()}
        name = self._text(run.record.run_id)
        document = self._value(self._documents[run.folder])
        if self._scrubber:
            document = self._scrubber.record(document)
        self._add(archive, f"{name}/{contents.RECORD}", _json(document))
        if lines := self._samples(run):
            self._add(archive, f"{name}/{contents.SAMPLES}", lines)
        for result, path in sorted(results.items()):
            if content := self._result(path):
                self._add(archive, f"{name}/{contents.RESULTS}/{result}", content)
        if logs and run.paths.log.is_file():
            text = run.paths.log.read_text(encoding="utf-8", errors="backslashreplace")
            shown = "".join(self._text(line) for line in text.splitlines(keepends=True))
            self._add(archive, f"{name}/{contents.LOG}", shown.encode(errors="backslashreplace"))
        if checkpoints:
            for path in sorted((run.folder / contents.CHECKPOINTS).rglob("*")):
                if path.is_file() and not path.is_symlink():
                    self._add_file(archive, f"{name}/{path.relative_to(run.folder)}", path)
        return name

    def close(self, archive: tarfile.TarFile, names: Sequence[str]) -> None:
        """Add the manifest."""
        manifest = {
            "format": contents.FORMAT,
            "format_version": contents.FORMAT_VERSION,
            "scrubbed": self._scrubbed,
            "runs": list(names),
            "sha256": self._sums,
        }
        self._add(archive, contents.MANIFEST, _json(manifest))

    def _new_scrubber(self) -> Scrubber:
        documents = self._documents.values()
        names = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER")} | {_own_name()}
        return Scrubber(
            users=names - {""},
            hosts={socket.gethostname(), *(host for document in documents for host in hosts_in(document))},
            accounts={account for document in documents for account in accounts_in(document)},
            secrets=self._secrets,
        )

    def _mark(self, run: StoredRun, result: str) -> str:
        return f"{contents.RUNS_MARK}/{run.record.run_id}/{contents.RESULTS}/{result}"

    def _text(self, text: str) -> str:
        text = str(scrub(replacing(self._prefixes)(text), self._secrets))
        return self._scrubber.text(text) if self._scrubber else text

    def _value(self, value: Any) -> Any:
        """A JSON value with the paths of the archive and without secrets, which no archive holds."""
        return scrub(changed_texts(value, replacing(self._prefixes)), self._secrets)

    def _lines(self, values: Sequence[Any]) -> bytes:
        values = [self._scrubber.values(value) if self._scrubber else value for value in self._value(list(values))]
        return "".join(f"{json.dumps(value, ensure_ascii=False)}\n" for value in values).encode()

    def _samples(self, run: StoredRun) -> bytes:
        try:
            text = run.paths.samples.read_text(encoding="utf-8")
            return self._lines([json.loads(line) for line in text.split("\n") if line])
        except FileNotFoundError:
            return b""
        except (OSError, ValueError, RecursionError) as error:
            self.left_out.append(f"{run.paths.samples}: these samples cannot be read ({error}), and are left out")
            return b""

    def _result(self, path: Path) -> bytes:
        try:
            value = self._value(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            self.left_out.append(f"{path}: this result cannot be read ({error}), and is left out")
            return b""
        return _json(self._scrubber.values(value) if self._scrubber else value)

    def _add(self, archive: tarfile.TarFile, name: str, content: bytes) -> None:
        self._sums[name] = hashlib.sha256(content).hexdigest()
        archive.addfile(_entry(name, len(content)), io.BytesIO(content))

    def _add_file(self, archive: tarfile.TarFile, name: str, path: Path) -> None:
        with path.open("rb") as file:
            self._sums[name] = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            archive.addfile(_entry(name, os.fstat(file.fileno()).st_size), file)


def _prefixes(runs: Sequence[StoredRun]) -> Iterator[tuple[str, str]]:
    """The runs' own folders, where they are and where they were opened, and what stands for each in the archive."""
    for run in runs:
        for path in (str(run.folder.absolute()), str(run.folder.resolve()), run.opened_as):
            yield path, f"{contents.RUNS_MARK}/{run.record.run_id}"


def _results(run: StoredRun, packed: Iterable[Path]) -> dict[str, Path]:
    """The files of evaluation results by their names there: those in the run's folder, and those its record names.

    What lies in the folder of another run that is packed stays there.
    """
    found = {path.name: path for path in sorted((run.folder / contents.RESULTS).glob("*.json"))}
    folders = [folder.absolute() for folder in packed]
    for figures in row_of(run).get("evaluated") or ():
        path = Path(figures["output_file"])
        if is_file(path) and not any(path.is_relative_to(folder) for folder in folders):
            name = path.name if path.name not in found else f"{len(found)}-{path.name}"
            found[name] = path
    return found


def _document(run: StoredRun) -> dict[str, Any]:
    """The record as it was written, of whatever version."""
    try:
        document: dict[str, Any] = json.loads(run.paths.record.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EnvironmentProblem(f"{run.paths.record}: cannot be read: {error}") from error
    return document


def _own_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user here
        return ""


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def _entry(name: str, size: int) -> tarfile.TarInfo:
    """A file without owner, time or mode of its own: the same runs make the same archive."""
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry

"""Results as files `eval_results_{YYYYmmdd_HHMMSS}.json`: written whole or not at all, none over another."""

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

from harness.disk import sync_folder, write_whole
from harness.errors import ConfigError, EnvironmentProblem
from harness.evaluation.document import SCHEMA_VERSION, SECTIONS, moment_of
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec

_NAME = re.compile(r"eval_results_(\d{8}_\d{6})(?:_(\d+))?\.json")
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems without hard links say."""
_OWN = ("identity", "checkpoint_dir", "eval_timestamp")
"""Texts that every result has."""


def write_result(folder: Path, document: Mapping[str, Any]) -> Path:
    """Write a document into a folder, which is made, under a name that no other has; `output_file` is its path.

    The name says when the evaluation was made, in UTC; a second one of that second ends in `_2`. EnvironmentProblem
    where it cannot be written; nothing of it is left then.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return next(path for path in _free_names(folder, document) if _publish(path, document))
    except OSError as error:
        fix = "make OUTPUT_DIR a writable folder with free space"
        reason = error.strerror or str(error)
        raise EnvironmentProblem(f"{folder}: cannot write the result of the evaluation: {reason}; {fix}") from error


def read_result(path: Path) -> dict[str, Any]:
    """The document of a file, of this schema version or an older one. ConfigError where it is none, or newer."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot read this result: {error.strerror}; name a file eval_results_*.json that you may read"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path}: this result is damaged: not JSON ({error}); evaluate again: moe-harness eval CHECKPOINT"
        ) from error
    if problem := _problem(document):
        raise ConfigError(f"{path}: {problem}")
    return document  # type: ignore[no-any-return]


def find_result(spec: EvaluationSpec, checkpoint: EvaluatedCheckpoint) -> Path | None:
    """The newest readable result of what `spec` measures of a checkpoint; others, and damaged ones, are passed over.

    Where `spec` names a repetition, it is that one's own.
    """
    identity = spec.identity(checkpoint)
    for path in reversed(list_results(Path(spec.output_dir))):
        with suppress(ConfigError):
            document = read_result(path)
            if document["identity"] == identity and spec.again in ("", document.get("again")):
                return path
    return None


def list_results(folder: Path) -> list[Path]:
    """The files named as results in a folder, the oldest first; none where there is no such folder."""
    try:
        named = [(found, path) for path in folder.iterdir() if (found := _NAME.fullmatch(path.name))]
    except OSError:
        return []
    return [path for _, path in sorted(named, key=lambda item: (item[0][1], int(item[0][2] or 1)))]


def _free_names(folder: Path, document: Mapping[str, Any]) -> Iterator[Path]:
    """Paths that nothing has, the plain one first."""
    stem = f"eval_results_{moment_of(document):%Y%m%d_%H%M%S}"
    for number in count(1):
        path = folder / f"{stem}{f'_{number}' if number > 1 else ''}.json"
        if not os.path.lexists(path):
            yield path


def _publish(path: Path, document: Mapping[str, Any]) -> bool:
    """Whether the document got this name; another may have taken it meanwhile."""
    staged = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    named = {**document, "output_file": str(path.absolute())}
    try:
        write_whole(staged, _laid_out(named) + "\n")
        _take_name(staged, path)
        sync_folder(path.parent)
    except FileExistsError:
        return False
    finally:
        with suppress(OSError):
            staged.unlink()
    return True


def _take_name(staged: Path, path: Path) -> None:
    """Give a whole file its name unless another has it, which is FileExistsError."""
    try:
        os.link(staged, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        path.touch(exist_ok=False)
        try:
            staged.replace(path)
        except OSError:
            path.unlink()
            raise


def _laid_out(value: Any, indent: str = "") -> str:
    """JSON with a line for each name, and a list on one line: matrices are long."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    inner = indent + " "
    lines = [f"{inner}{json.dumps(name, ensure_ascii=False)}: {_laid_out(item, inner)}" for name, item in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _problem(document: Any) -> str | None:
    """What keeps JSON from being a result that this program reads, with the fix."""
    version = document.get("schema_version") if isinstance(document, dict) else None
    if type(version) is int and version > SCHEMA_VERSION:
        newer = f"schema_version {version} is newer than this moe-harness, which reads up to {SCHEMA_VERSION}"
        return f"{newer}; use a newer moe-harness"
    if type(version) is not int or version < 1 or not all(isinstance(document.get(name), str) for name in _OWN):
        return "this is no result of an evaluation; name a file eval_results_*.json that moe-harness eval wrote"
    damaged = [name for name in SECTIONS if not isinstance(document.get(name, {}), dict)]
    if not damaged:
        try:
            moment_of(document)
        except ValueError:
            damaged = ["eval_timestamp"]
    return f"this result is damaged at {', '.join(damaged)}; evaluate again" if damaged else None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number there")

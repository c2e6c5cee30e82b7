"""Records as files: versioned JSON, without secrets, written whole or not at all."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from harness.config.secrets import is_secret, scrub, scrub_shapes, secret_values
from harness.disk import write_whole
from harness.errors import EnvironmentProblem, HarnessError
from harness.runs.json_codec import Mismatch, decode, encode
from harness.runs.kind import Result
from harness.runs.kinds import KINDS
from harness.runs.migrations import MIGRATIONS, Document, Migration
from harness.runs.record import JOB_ID, SCHEMA_VERSION, RunRecord, epoch_of


class UnreadableRecord(HarnessError):
    """A record file that may not be read, is damaged, or is of a version that this program does not know."""


class DamagedRecord(UnreadableRecord):
    """A record file that holds no record."""


def to_document(record: RunRecord, environ: Mapping[str, str]) -> Document:
    """The record as JSON values. `environ` is where secrets might have leaked from into any text of the record."""
    document: Document = encode(record)
    resolved = document["resolved"]
    for part in ("env", "origins"):
        resolved[part] = {name: value for name, value in resolved[part].items() if not is_secret(name)}
    resolved["argv"] = record.resolved.megatron_args.argv()
    scrubbed: Document = scrub(document, secret_values(environ, record.resolved.env))
    scrubbed["error"] = scrub_shapes(scrubbed["error"])  # a rank's words, read where its secrets may not be known
    return scrubbed


def migrate(document: Document, migrations: Mapping[int, Migration] = MIGRATIONS, to: int = SCHEMA_VERSION) -> Document:
    """An older document, step by step, to the current version; a newer one, or none at all, is a Mismatch."""
    version = document.get("schema_version")
    if type(version) is not int or version < min(migrations, default=to):
        raise Mismatch(f"schema_version: expected a whole number up to {to}, found {version!r}")
    if version > to:
        raise Mismatch(
            f"schema_version: {version} is newer than this moe-harness, which reads up to {to}; use a newer moe-harness"
        )
    for step in range(version, to):
        document = {**migrations[step](document), "schema_version": step + 1}
    return document


def save(record: RunRecord, path: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Write a record so that a reader finds the old one or the new one, never a part."""
    text = json.dumps(to_document(record, environ), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_whole(path, text)
    except OSError as error:
        fix = "make OUTPUT_PATH a writable folder with free space"
        raise EnvironmentProblem(f"{path}: cannot write the run's record: {error.strerror}; {fix}") from error


def load(path: Path) -> RunRecord:
    """Read a record of this version or an older one."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except OSError as error:
        raise UnreadableRecord(f"{path}: cannot read this record: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DamagedRecord(f"{path}: this record is damaged: not JSON ({error})") from error
    if not isinstance(document, dict):
        raise DamagedRecord(f"{path}: this record is damaged: expected a JSON object")
    try:
        record = _decoded(migrate(document))
        _refuse_nonsense(record)
    except Mismatch as mismatch:
        raise UnreadableRecord(f"{path}: cannot read this record: {mismatch}") from mismatch
    return record


def _decoded(document: Document) -> RunRecord:
    """The header, and the result as the record's kind has it."""
    record: RunRecord = decode(RunRecord, document)
    kind = KINDS.get(record.kind)
    if kind is None:
        text = f"{record.kind!r:.40} is no kind of run that this moe-harness knows; use a newer moe-harness"
        raise Mismatch(text, ".kind")
    value = document.get("result")
    if value is None:
        return record
    try:
        result: Result = decode(kind.result, value)
    except Mismatch as mismatch:
        raise mismatch.inside(".result") from None
    return replace(record, result=result)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number there")


def _refuse_nonsense(record: RunRecord) -> None:
    """Mismatch for a value of the right type that nothing can be done with: one such record must not harm others."""
    if record.job.job_id is not None and not JOB_ID.fullmatch(record.job.job_id):
        raise Mismatch(f"expected a job's id, found {record.job.job_id!r:.40}", ".job.job_id")
    for name in ("created", "started", "ended"):
        moment = getattr(record, name)
        try:
            epoch_of(moment or record.created)
        except ValueError:
            raise Mismatch(f"expected a time like 2026-01-31T12:00:00Z, found {moment!r:.40}", f".{name}") from None

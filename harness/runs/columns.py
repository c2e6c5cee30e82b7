"""A run as a row: flat columns that all kinds share, and those of its kind."""

import math
from collections.abc import Mapping
from typing import Any

from harness.runs.kind import ColumnType
from harness.runs.kinds import KINDS
from harness.runs.record import RunRecord, epoch_of
from harness.runs.store import StoredRun

type Row = dict[str, Any]
"""A value for each column, None where it is not known; never NaN."""

_PREDICTED = ("step_time_s", "tokens_per_s_per_gpu", "tflops_per_gpu", "peak_memory_bytes")

_HEADER: Mapping[str, ColumnType] = {
    "run_id": "VARCHAR",
    "kind": "VARCHAR",
    "status": "VARCHAR",
    "model": "VARCHAR",
    "created": "TIMESTAMP",
    "started": "TIMESTAMP",
    "ended": "TIMESTAMP",
    "duration_s": "BIGINT",
    "executor": "VARCHAR",
    "job_id": "VARCHAR",
    "nodes": "BIGINT",
    "gpus_per_node": "BIGINT",
    "gpus": "BIGINT",
    "attempts": "BIGINT",
    "cause": "VARCHAR",
    "cause_text": "VARCHAR",
    "cause_change": "VARCHAR",
    "exit_code": "BIGINT",
    "campaign": "VARCHAR",
    "item": "VARCHAR",
    "revision": "VARCHAR",
    "dirty": "BOOLEAN",
    "megatron": "VARCHAR",
    "comment": "VARCHAR",
    "proxy": "VARCHAR",
    "seq_len": "BIGINT",
    "tp": "BIGINT",
    "pp": "BIGINT",
    "vpp": "BIGINT",
    "ep": "BIGINT",
    "etp": "BIGINT",
    "cp": "BIGINT",
    "precision": "VARCHAR",
    "dispatcher": "VARCHAR",
    "predicted": dict.fromkeys(_PREDICTED, "DOUBLE"),
    "folder": "VARCHAR",
}
_SETTINGS = {
    "megatron": "MCORE_RELEASE_VERSION",
    "comment": "COMMENT",
    "proxy": "PROXY",
    "seq_len": "SEQ_LEN",
    "tp": "TP",
    "pp": "PP",
    "vpp": "VPP",
    "ep": "EP",
    "etp": "ETP",
    "cp": "CP",
    "precision": "PR",
    "dispatcher": "MOE_TOKEN_DISPATCHER",
}
"""Columns of what was asked; a kind that knows what was in effect writes over them."""


def column_types() -> dict[str, ColumnType]:
    """Every column's type, as DuckDB names it; `folder` is the last one."""
    types = {name: of for name, of in _HEADER.items() if name != "folder"}
    for kind in KINDS.values():
        types.update(kind.column_types)
    return {**types, "folder": _HEADER["folder"]}


def row_of(run: StoredRun) -> Row:
    """The run's row."""
    record = run.record
    kind = KINDS[record.kind].column_values(record.resolved, record.result)
    known = {**_header(record), **kind, "folder": str(run.folder.absolute())}
    return {name: _fitting(known.get(name), of) for name, of in column_types().items()}


def _header(record: RunRecord) -> Row:
    cause = record.error.cause if record.error else None
    settings = record.resolved.settings
    return {
        **{name: settings.get(setting) for name, setting in _SETTINGS.items()},
        "run_id": record.run_id,
        "kind": record.kind,
        "status": record.status,
        "model": record.model,
        "created": record.created,
        "started": record.started,
        "ended": record.ended,
        "duration_s": epoch_of(record.ended) - epoch_of(record.started) if record.started and record.ended else None,
        "executor": record.job.on,
        "job_id": record.job.job_id,
        "nodes": record.job.nodes,
        "gpus_per_node": record.job.gpus_per_node,
        "gpus": record.job.nodes * record.job.gpus_per_node,
        "attempts": len(record.attempts),
        "cause": cause.name if cause else None,
        "cause_text": cause.text if cause else None,
        "cause_change": cause.change if cause else None,
        "exit_code": record.error.exit_code if record.error else None,
        "campaign": record.campaign.campaign if record.campaign else None,
        "item": record.campaign.item if record.campaign else None,
        "revision": record.revision.commit,
        "dirty": record.revision.dirty,
        "predicted": record.predicted,
    }


def _fitting(value: Any, of: ColumnType) -> Any:
    """The value if it is one of its column's type; a setting in a record may be anything."""
    if value is None:
        return None
    if of == "VARCHAR":
        return str(value)
    if of == "BIGINT":
        return value if isinstance(value, int) else int(value) if str(value).isdecimal() else None
    return _known(value)


def _known(value: Any) -> Any:
    """A JSON value in which no number is NaN or infinite: those are not known."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _known(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_known(item) for item in value]
    return value

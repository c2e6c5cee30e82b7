"""What a converted checkpoint says of itself: moe-harness.json beside its weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.checkpoint import RECORD, RECORD_VERSION, TRACKER, Limit, tracked_folder
from harness.config.megatron_args import ArgValue, MegatronArgs


@dataclass(frozen=True, kw_only=True)
class CheckpointRecord:
    """The flags that the weights in `folder` need, the rows of their embedding, and what limits their use."""

    folder: Path
    family: str
    flags: MegatronArgs
    limits: tuple[Limit, ...]
    vocabulary_rows: int | None


def read_record(load: Path) -> CheckpointRecord | None:
    """The record of the checkpoint that Megatron would load from `load`; None where it has none.

    ValueError says what is wrong with a tracker or a record that is there.
    """
    try:
        tracked = (load / TRACKER).read_text(encoding="utf-8").strip()
        if (name := tracked_folder(tracked)) is None:
            raise ValueError(f"{TRACKER} says {tracked!r}, so Megatron would load nothing; allowed: release, or a step")
        folder = load / name
        text = (folder / RECORD).read_text(encoding="utf-8")
    except OSError:
        return None
    try:
        return _parse(json.loads(text), folder)
    except (KeyError, TypeError, AttributeError, RecursionError, json.JSONDecodeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{folder / RECORD} is damaged ({reason}); convert the checkpoint again") from None


def _parse(content: Mapping[str, Any], folder: Path) -> CheckpointRecord:
    version = content["format_version"]
    if version > RECORD_VERSION:
        raise ValueError(f"{folder / RECORD} has format {version}, this moe-harness knows {RECORD_VERSION}; update it")
    return CheckpointRecord(
        folder=folder,
        family=str(content["family"]),
        flags=MegatronArgs({flag: _value(value) for flag, value in content["flags"].items()}),
        limits=tuple(
            Limit(name=limit["name"], text=limit["text"], releases=tuple(limit["releases"]))
            for limit in content["limits"]
        ),
        vocabulary_rows=content.get("vocabulary_rows"),
    )


def _value(value: Any) -> ArgValue:
    """A flag's value as JSON has it."""
    if isinstance(value, bool):
        return value
    return tuple(map(str, value)) if isinstance(value, list) else str(value)

"""The conversion record: what a converted checkpoint says of itself, in moe-harness.json beside its weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.checkpoint.files import RECORD
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.errors import ConfigError

RECORD_VERSION = 1

UNNORMED_QUERY = "unnormed-query"
GROUP_SCORE = "group-score"
"""The names of the limits that the embedded engine does not have."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Something of a model that Megatron cannot represent in some `releases`, e.g. `0.19`: a sentence for the user.

    A launch knows it by its `name`.
    """

    name: str
    text: str
    releases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ConversionRecord:
    """What the converter knows of the weights: the `flags` that they need, and what limits their use.

    `architecture` is transformers' name of the model, `config` its config.json; `dtype` is safetensors' name of the
    number format, `vocabulary_rows` the rows of the embedding, None in records that lack it.
    """

    family: str
    architecture: str
    dtype: str
    vocabulary_rows: int | None
    flags: MegatronArgs
    limits: tuple[Limit, ...]
    config: Mapping[str, object]

    def document(self) -> dict[str, object]:
        """The record as JSON has it: lists where there are no tuples."""
        return {
            "format_version": RECORD_VERSION,
            "family": self.family,
            "architecture": self.architecture,
            "dtype": self.dtype,
            "vocabulary_rows": self.vocabulary_rows,
            "flags": {flag: list(value) if isinstance(value, tuple) else value for flag, value in self.flags.items()},
            "limits": [
                {"name": limit.name, "text": limit.text, "releases": list(limit.releases)} for limit in self.limits
            ],
            "config": dict(self.config),
        }


def read_record(folder: Path) -> ConversionRecord | None:
    """The record in the folder that holds the weights; None where there is none. ConfigError where it is damaged."""
    path = folder / RECORD
    try:
        content = path.read_bytes()
    except OSError:
        return None
    try:
        return _parse(json.loads(content), path)
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{path} is damaged ({reason}); convert the checkpoint again") from None


def _parse(document: Mapping[str, Any], path: Path) -> ConversionRecord:
    version = document["format_version"]
    if version > RECORD_VERSION:
        raise ConfigError(f"{path} has format {version}, this moe-harness knows {RECORD_VERSION}; update it")
    return ConversionRecord(
        family=str(document["family"]),
        architecture=str(document["architecture"]),
        dtype=str(document["dtype"]),
        vocabulary_rows=document.get("vocabulary_rows"),
        flags=MegatronArgs({flag: _value(value) for flag, value in document["flags"].items()}),
        limits=tuple(
            Limit(name=limit["name"], text=limit["text"], releases=tuple(limit["releases"]))
            for limit in document["limits"]
        ),
        config=dict(document["config"].items()),
    )


def _value(value: Any) -> ArgValue:
    """A flag's value as JSON has it."""
    if isinstance(value, bool):
        return value
    return tuple(map(str, value)) if isinstance(value, list) else str(value)

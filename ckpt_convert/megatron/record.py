"""moe-harness.json: what moe-harness itself wrote beside the weights of a checkpoint."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config.checkpoint import RECORD
from harness.errors import ConfigError


def read_record(folder: Path) -> Mapping[str, Any] | None:
    """The record in the folder of an iteration; None where moe-harness did not write the checkpoint."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not JSON ({error}); convert the checkpoint again") from error
    if not isinstance(record, dict):
        raise ConfigError(f"{path}: not a JSON object; convert the checkpoint again")
    return record

"""The arguments of the run that saved a checkpoint of Megatron, as plain values: numbers, texts, lists, mappings."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.checkpoint.files import COMMON, RANK_FILE, CheckpointFormat
from harness.checkpoint.folder import RANK_FOLDER, Checkpoint
from harness.checkpoint.torch_save.dcp_metadata import DcpMetadata, read_metadata
from harness.checkpoint.torch_save.restricted_pickle import Inert, plain
from harness.checkpoint.torch_save.torch_file import read_torch_file
from harness.errors import ConfigError

_COMMON_OBJECT = re.compile(r"common_state/shard_.*")


def read_saved_arguments(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """The arguments by name (`num_layers`); empty where there are none. ConfigError where a file is damaged."""
    if checkpoint.format is CheckpointFormat.LEGACY:
        ranks = sorted(entry for entry in checkpoint.folder.iterdir() if RANK_FOLDER.fullmatch(entry.name))
        content = read_torch_file(ranks[0] / RANK_FILE).content
        return saved_arguments(content if isinstance(content, dict) else {})
    return saved_arguments(read_common(checkpoint.folder))


def read_common(folder: Path, metadata: DcpMetadata | None = None) -> Mapping[str, Any]:
    """What all ranks of a torch_dist checkpoint share; empty where there is nothing of the kind.

    Megatron up to 0.18 has it in `common.pt`, 0.19 as an object that `.metadata` lists: the one in the folder is read
    unless it is given as `metadata`.
    """
    path = folder / COMMON
    if path.exists():
        content = read_torch_file(path).content
    else:
        objects = (metadata or read_metadata(folder)).objects
        location = next((location for key, location in objects.items() if _COMMON_OBJECT.fullmatch(key)), None)
        if location is None:
            return {}
        content = read_torch_file(location.path, location.offset, location.length).content
        if isinstance(content, list) and len(content) == 1:
            content = content[0]
    if not isinstance(content, dict):
        raise ConfigError(f"{folder}: the common state is no mapping; copy the checkpoint again")
    return content


def saved_arguments(common: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments in the state that ranks share, or in a rank's own; empty where there are none."""
    args = common.get("args")
    return plain(dict(args.attributes)) if isinstance(args, Inert) else {}

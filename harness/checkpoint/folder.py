"""Which checkpoint a path means: the one that the tracker names, or the folder of an iteration itself."""

import json
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from harness.checkpoint.files import CONFIG, FORMAT, METADATA, RELEASE, TRACKER, CheckpointFormat
from harness.errors import ConfigError

RANK_FOLDER = re.compile(r"mp_rank_(?P<tensor>\d{2})(?P<others>(?:_\d{3}){0,2})")
"""The folder of a rank in a legacy checkpoint: `mp_rank_TP[_PPP][_EEE]`."""

_HUGGING_FACE = (CONFIG, "*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin")
_ITERATION = re.compile(r"iter_(\d{7,})")
_BACKEND = "torch_dist"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint of Megatron: the `folder` that holds the weights, and the training step that they are of.

    `step` is None for weights of no training step, as a conversion writes them.
    """

    folder: Path
    format: CheckpointFormat
    step: int | None


def find_checkpoint(folder: Path) -> Checkpoint:
    """Megatron's checkpoint in `folder`: the one that its tracker names, or the folder of an iteration itself.

    ConfigError says what is missing of it.
    """
    if not folder.is_dir():
        found = "is a file; name the checkpoint's folder" if folder.exists() else "no such folder"
        raise ConfigError(f"{folder}: {found}")
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
        raise ConfigError(f"{folder}: cannot be read: Permission denied; ask whose it is for access")
    if not is_iteration_folder(folder):
        folder = folder / _tracked(folder)
        if not folder.is_dir():
            raise ConfigError(f"{folder}: absent, though {TRACKER} beside it names it; copy the checkpoint again")
    if is_legacy(folder):
        return Checkpoint(folder=folder, format=CheckpointFormat.LEGACY, step=_step_of(folder))
    _require_torch_dist(folder)
    return Checkpoint(folder=folder, format=CheckpointFormat.TORCH_DIST, step=_step_of(folder))


def is_hugging_face(folder: Path) -> bool:
    """Whether a folder holds what only Hugging Face checkpoints hold."""
    return any(next(folder.glob(pattern), None) for pattern in _HUGGING_FACE)


def is_legacy(folder: Path) -> bool:
    """Whether the folder of an iteration holds ranks' folders."""
    return folder.is_dir() and any(RANK_FOLDER.fullmatch(entry.name) for entry in folder.iterdir() if entry.is_dir())


def is_iteration_folder(folder: Path) -> bool:
    """Whether weights lie in this very folder."""
    return (folder / METADATA).exists() or (folder / FORMAT).exists() or is_legacy(folder)


def read_tracker(folder: Path) -> str | None:
    """What the tracker in a folder says; None where there is none that can be read."""
    try:
        return (folder / TRACKER).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def tracked_folder(text: str) -> str | None:
    """The name of the folder that a tracker's text means: `release`, or `iter_0000007` for a step; None for neither."""
    if text == RELEASE:
        return RELEASE
    return f"iter_{int(text):07d}" if text.isdecimal() else None


def _step_of(folder: Path) -> int | None:
    """The number in the name of an iteration's folder; None for a release."""
    number = _ITERATION.fullmatch(folder.resolve().name)
    return int(number[1]) if number else None


def _tracked(folder: Path) -> str:
    """The name of the folder that the tracker points to."""
    candidates = sorted(entry.name for entry in folder.iterdir() if is_iteration_folder(entry))
    instead = f"; or name one of its folders: {', '.join(candidates)}" if candidates else ""
    text = read_tracker(folder)
    if text is None and not candidates and is_hugging_face(folder):
        raise ConfigError(
            f"{folder}: a Hugging Face checkpoint, and a Megatron one is needed; convert it: moe-harness convert"
            f" {shlex.quote(str(folder))} TARGET"
        )
    if text is None:
        raise ConfigError(
            f"{folder}: no Megatron checkpoint: neither {TRACKER} nor weights are in it; "
            f"name the folder that --save wrote to{instead}"
        )
    if (name := tracked_folder(text)) is None:
        found = f"{text[:40]!r}" if text else "empty"
        raise ConfigError(f"{folder / TRACKER}: {found}; expected release or the number of an iteration{instead}")
    return name


def _require_torch_dist(folder: Path) -> None:
    """Refuse a folder that Megatron itself would take for another format, or fail on."""
    missing = [name for name in (METADATA, FORMAT) if not (folder / name).exists()]
    if missing:
        raise ConfigError(
            f"{folder}: {' and '.join(missing)} missing: not a whole torch_dist checkpoint; copy it again"
        )
    if (backend := _backend(folder / FORMAT)) not in (None, _BACKEND):
        raise ConfigError(
            f"{folder / FORMAT}: the checkpoint's format is {backend}; only {_BACKEND} can be read: load it with the"
            " Megatron that saved it, and save it with --ckpt-format torch_dist"
        )


def _backend(path: Path) -> str | None:
    """The format that Megatron's own file names; None where it names none."""
    try:
        named = json.loads(path.read_text(encoding="utf-8")).get("sharded_backend")
    except (OSError, ValueError, AttributeError):
        return None
    return None if named is None else str(named)

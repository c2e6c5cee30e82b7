"""Which checkpoint a path means: the one that the tracker names, or the folder of an iteration itself."""

import re
from pathlib import Path

from ckpt_convert.megatron.files import FORMAT, METADATA
from ckpt_convert.megatron.folder import MegatronFolder
from ckpt_convert.megatron.legacy import is_legacy, open_legacy
from ckpt_convert.megatron.torch_dist import open_torch_dist
from harness.config.checkpoint import TRACKER, tracked_folder
from harness.errors import ConfigError

_ITERATION = re.compile(r"iter_(\d{7,})")


def open_megatron(folder: Path) -> MegatronFolder:
    """Open a checkpoint by its folder, with the tracker in it, or by the folder of an iteration."""
    found = iteration_folder(folder)
    iteration = iteration_of(found)
    return open_legacy(found, iteration) if is_legacy(found) else open_torch_dist(found, iteration)


def iteration_of(folder: Path) -> int | None:
    """The number in the name of an iteration's folder; None for a release."""
    number = _ITERATION.fullmatch(folder.resolve().name)
    return int(number[1]) if number else None


def is_iteration_folder(folder: Path) -> bool:
    """Whether weights lie in this very folder."""
    return (folder / METADATA).exists() or (folder / FORMAT).exists() or is_legacy(folder)


def iteration_folder(folder: Path) -> Path:
    """The folder that holds the weights; ConfigError saying what is missing."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder")
    if not is_iteration_folder(folder):
        folder = folder / _tracked(folder)
        if not folder.is_dir():
            raise ConfigError(f"{folder}: absent, though {TRACKER} beside it names it; copy the checkpoint again")
    if not is_legacy(folder):
        _require_torch_dist(folder)
    return folder


def _tracked(folder: Path) -> str:
    """The name of the folder that the tracker points to."""
    path = folder / TRACKER
    candidates = sorted(entry.name for entry in folder.iterdir() if is_iteration_folder(entry))
    instead = f"; or name one of its folders: {', '.join(candidates)}" if candidates else ""
    if not path.exists():
        raise ConfigError(
            f"{folder}: no Megatron checkpoint: neither {TRACKER} nor weights are in it; "
            f"name the folder that --save wrote to{instead}"
        )
    text = path.read_text(errors="replace").strip()
    if (name := tracked_folder(text)) is None:
        found = f"{text[:40]!r}" if text else "empty"
        raise ConfigError(f"{path}: {found}; expected release or the number of an iteration{instead}")
    return name


def _require_torch_dist(folder: Path) -> None:
    """Refuse a folder that Megatron itself would take for another format, or fail on."""
    missing = [name for name in (METADATA, FORMAT) if not (folder / name).exists()]
    if missing:
        raise ConfigError(
            f"{folder}: {' and '.join(missing)} missing: not a whole torch_dist checkpoint; copy it again"
        )

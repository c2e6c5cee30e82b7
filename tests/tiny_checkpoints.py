"""Tiny models converted to Megatron checkpoints, and the arguments that make Megatron's model of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tiny_models import make_tiny

from ckpt_convert.conversion import convert, open_folder, plan_conversion
from ckpt_convert.writing.progress import Silent
from harness.config.megatron_args import MegatronArgs


@dataclass(frozen=True, kw_only=True)
class TinyCheckpoint:
    """A model as Hugging Face has it in `source`, its converted `weights`, and the `flags` of its network."""

    source: Path
    weights: Path
    flags: tuple[str, ...]


def convert_tiny(family: str, folder: Path, changes: Mapping[str, object] | None = None) -> TinyCheckpoint:
    """Make a tiny model of one of `tiny_models.FAMILIES` in fp32, with `changes` to its config, and convert it."""
    source = make_tiny(family, folder / "hf", changes=changes)
    target = folder / "megatron"
    conversion = plan_conversion(open_folder(source), to=None, dtype=None, exact=None)
    convert(conversion, target, resume=False, threads=2, progress=Silent())
    record = json.loads((target / "release/moe-harness.json").read_text())
    return TinyCheckpoint(source=source, weights=target / "release", flags=tuple(MegatronArgs(record["flags"]).argv()))

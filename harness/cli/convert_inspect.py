"""Show what a checkpoint folder is."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from ckpt_convert.inspect import Inspection, inspect
from harness.cli import screen
from harness.units import show_bytes, show_count


def show_inspection(folder: Path, *, as_json: bool) -> int:
    """Print what the folder is; the exit code is 1 where it is damaged."""
    found = inspect(folder)
    if as_json:
        click.echo(json.dumps(_document(found), indent=2, default=str))
    else:
        click.echo("\n".join(f"{name:<12} {text}" for name, text in _lines(found)))
        for text in found.damage:
            screen.error(text)
    return 1 if found.damage else 0


def _document(found: Inspection) -> dict[str, object]:
    weights = found.weights and {**vars(found.weights), "dtypes": dict(found.weights.dtypes)}
    return {**vars(found), "weights": weights}


def _lines(found: Inspection) -> Iterator[tuple[str, str]]:
    yield "folder", str(found.folder)
    yield "format", found.format
    if found.family:
        yield "model", found.family
    if found.release:
        yield "release", f"{found.release} ({found.release_how})" if found.release_how else found.release
    if found.mapping:
        yield "saved under", " ".join(f"{name}={size}" for name, size in found.mapping.items())
    if found.step is not None:
        yield "step", str(found.step)
    if weights := found.weights:
        formats = ", ".join(f"{count} {name}" for name, count in weights.dtypes.items())
        yield "tensors", f"{weights.tensors} ({formats})"
        yield "parameters", f"{show_count(weights.parameters)}, {show_bytes(weights.size_bytes)}"
        yield "optimizer", "yes" if found.has_optimizer else "no"
    if found.finished_files is not None:
        done = f"{found.finished_files} files, {show_bytes(found.finished_bytes or 0)} are done"
        yield "interrupted", f"{done}; convert again with --resume"

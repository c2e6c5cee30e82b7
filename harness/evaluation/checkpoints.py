"""Which checkpoints of a folder are meant: the tracked one, the newest whole one, or a series of steps."""

import re
from collections.abc import Sequence
from pathlib import Path

from harness.checkpoint.folder import Checkpoint, find_checkpoint, is_iteration_folder
from harness.errors import ConfigError
from harness.evaluation.fingerprints import fingerprint_of_files

ALL = "all"
_STEP_FOLDER = re.compile(r"iter_(\d{7,})")


def parse_steps(text: str) -> tuple[int, ...] | None:
    """`500,1000` as numbers, None for `all`. ValueError says what is allowed."""
    if text == ALL:
        return None
    steps = [int(word) for word in text.split(",") if word.isdecimal()]
    if not steps or len(steps) != len(text.split(",")):
        raise ValueError(f"{text!r} is no list of steps; allowed: all, or numbers such as 500,1000")
    return tuple(dict.fromkeys(steps))


def series_in(folder: Path, steps: Sequence[int] | None) -> tuple[Checkpoint, ...]:
    """The checkpoints of these steps, all of them for None, in the order of steps. ConfigError names what is absent."""
    there = {step: path for path in _step_folders(folder) if (step := _step(path)) is not None}
    if not there:
        raise ConfigError(f"{folder}: no checkpoints of steps in it (iter_NNNNNNN); leave --steps out, or name another")
    wanted = sorted(there if steps is None else steps)
    if missing := [str(step) for step in wanted if step not in there]:
        found = ", ".join(map(str, sorted(there)))
        raise ConfigError(f"{folder}: no checkpoint of step {', '.join(missing)}; there are: {found}")
    return tuple(find_checkpoint(there[step]) for step in wanted)


def newest_whole(folder: Path) -> Checkpoint:
    """The checkpoint of the last step that is whole, however the training ended. ConfigError where none is."""
    problems: list[str] = []
    for path in reversed(_step_folders(folder)):
        try:
            return find_checkpoint(path)
        except ConfigError as error:
            problems += error.problems
    raise ConfigError(problems or f"{folder}: no checkpoint in it")


def root_of(checkpoint: Checkpoint) -> Path:
    """The folder that holds the checkpoints of a training or conversion: the one above the weights'."""
    return checkpoint.folder.absolute().parent


def fingerprint(checkpoint: Checkpoint) -> str:
    """What tells these weights from others that are written to the same folder later."""
    return fingerprint_of_files([path for path in checkpoint.folder.iterdir() if path.is_file()])


def _step_folders(folder: Path) -> list[Path]:
    """The folders of steps that hold weights, in the order of steps."""
    try:
        entries = [path for path in folder.iterdir() if _step(path) is not None and is_iteration_folder(path)]
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}; name a folder of checkpoints") from None
    return sorted(entries, key=lambda path: _step(path) or 0)


def _step(path: Path) -> int | None:
    found = _STEP_FOLDER.fullmatch(path.name)
    return int(found[1]) if found else None

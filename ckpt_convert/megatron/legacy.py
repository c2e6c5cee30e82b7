"""Megatron's legacy checkpoints: `mp_rank_TP[_PPP][_EEE]/model_optim_rng.pt`, a state dict a rank, at TP=1.

The first number is the tensor rank. A second one is the pipeline rank or the expert rank, whichever is parallel; where
both are, the pipeline rank comes first.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from ckpt_convert.megatron.folder import MegatronFolder
from ckpt_convert.megatron.layout import universal
from ckpt_convert.megatron.ranks import Rank, merged, model_chunks
from harness.checkpoint.files import RANK_FILE, CheckpointFormat
from harness.checkpoint.folder import RANK_FOLDER
from harness.checkpoint.record import read_record
from harness.checkpoint.saved_arguments import saved_arguments
from harness.checkpoint.torch_save.torch_file import read_torch_file
from harness.errors import ConfigError

type Numbers = tuple[int, ...]
"""The numbers in a rank's name after the tensor rank."""


def open_legacy(folder: Path, iteration: int | None) -> MegatronFolder:
    """Open the folder of an iteration. The pickles are read, the tensors are not."""
    paths = _rank_files(folder)
    contents = {numbers: _read_rank(path) for numbers, path in paths.items()}
    args = saved_arguments(next(iter(contents.values())))
    _refuse_tensor_parallel(folder, args.get("tensor_model_parallel_size") or 1)
    ranks = {_place_of(numbers, len(contents), args, folder): content for numbers, content in contents.items()}
    _refuse_absent_ranks(folder, set(ranks))
    tensors, skipped = merged(ranks, args, str(folder))
    return MegatronFolder(
        folder=folder,
        format=CheckpointFormat.LEGACY,
        args=args,
        iteration=iteration,
        record=read_record(folder),
        boxed=universal(tensors, str(folder)),
        skipped=skipped,
        files=tuple(paths.values()),
    )


def _rank_files(folder: Path) -> dict[Numbers, Path]:
    """The ranks' files in order; ConfigError where there are several tensor ranks or a file is missing."""
    found = {entry.name: match for entry in folder.iterdir() if (match := RANK_FOLDER.fullmatch(entry.name))}
    _refuse_tensor_parallel(folder, 1 + max(int(match["tensor"]) for match in found.values()))
    paths = {
        tuple(map(int, match["others"].split("_")[1:])): folder / name / RANK_FILE
        for name, match in sorted(found.items())
    }
    missing = [path for path in paths.values() if not path.exists()]
    if missing:
        raise ConfigError([f"{path}: missing; copy the checkpoint again" for path in missing])
    return paths


def _read_rank(path: Path) -> Mapping[str, Any]:
    """The state of one rank."""
    content = read_torch_file(path).content
    if not isinstance(content, dict) or not model_chunks(content):
        raise ConfigError(f"{path}: no checkpoint of Megatron-Core: it holds no model of named tensors")
    return content


def _place_of(numbers: Numbers, count: int, args: Mapping[str, Any], folder: Path) -> Rank:
    """Pipeline and expert rank of one of `count` files. A single number can mean either: the run's arguments tell."""
    if len(numbers) == 2:
        return numbers[0], numbers[1]
    if not numbers:
        return 0, 0
    pipeline, expert = args.get("pipeline_model_parallel_size"), args.get("expert_model_parallel_size", 1)
    if (pipeline, expert) == (count, 1):
        return numbers[0], 0
    if (pipeline, expert) == (1, count):
        return 0, numbers[0]
    raise ConfigError(
        f"{folder}: {count} folders mp_rank_00_NNN are pipeline or expert ranks, and the arguments in them do not tell "
        f"which: pipeline_model_parallel_size is {pipeline}, expert_model_parallel_size is {expert}; one must be the "
        "number of folders and the other 1. Copy the ranks that are missing, or convert the checkpoint again"
    )


def _refuse_absent_ranks(folder: Path, ranks: set[Rank]) -> None:
    pipeline, expert = (1 + max(rank[axis] for rank in ranks) for axis in range(2))
    absent = sorted(set(product(range(pipeline), range(expert))) - ranks)
    if absent:
        named = ", ".join(f"pipeline {stage} expert {part}" for stage, part in absent[:8])
        raise ConfigError(f"{folder}: {len(absent)} ranks are missing ({named}); copy the checkpoint again")


def _refuse_tensor_parallel(folder: Path, size: int) -> None:
    if size > 1:
        raise ConfigError(
            f"{folder}: a legacy checkpoint at tensor parallel size {size}; only 1 can be read. Let Megatron convert "
            f"it: its training command with --load and --tensor-model-parallel-size {size}, as it was saved, and "
            "--ckpt-convert-format torch_dist --ckpt-convert-save DIR; then name DIR here"
        )

"""Load a checkpoint's weights into a model by Megatron itself, and find what they leave unfilled.

Megatron loads what it finds, and what it does not find may keep its initial values, which look like any other weights.
So all of them are made NaN before.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from megatron.core import mpu
from megatron.core.dist_checkpointing.core import CheckpointingException
from megatron.training.checkpointing import load_checkpoint
from torch.distributed.checkpoint.api import CheckpointException

from harness.checkpoint.lone_weights import tracked_alone
from harness.checkpoint.torch_save.checksums import damaged_chunks
from harness.checkpoint.torch_save.dcp_metadata import read_metadata
from harness.engine.saved_layout import as_saved
from harness.errors import ConfigError

_OF_VOCABULARY = ("embedding.word_embeddings.weight", "output_layer.weight")
_MOST = 20  # damaged chunks that are named
_LONGEST_REASON = 400  # Megatron's messages may list every tensor of the checkpoint


def load_weights(args: Any, model: list[Any], weights: Path) -> None:
    """Load the folder `weights` into the stages of `model`, whatever they hold; sets `args.load`.

    ConfigError names what is damaged, and what no rank, or not every rank, could fill.
    """
    _refuse_damaged(weights)
    tp_rank = mpu.get_tensor_model_parallel_rank()
    for stage in model:
        poison(stage, tp_rank, args.vocab_size)
    try:
        with tracked_alone(weights) as folder, as_saved(model, weights):
            args.load = str(folder)
            load_checkpoint(model, None, None)
    except (CheckpointException, CheckpointingException, AssertionError, KeyError, ValueError) as error:
        raise ConfigError(f"engine: Megatron cannot load {weights} under these flags: {_reason(error)}") from None
    if problems := _of_all_ranks([problem for stage in model for problem in unfilled(stage)]):
        raise ConfigError([f"engine: {weights}: {problem}" for problem in problems])


def _refuse_damaged(weights: Path) -> None:
    """ConfigError names the chunks of weights that are not as they were saved; each rank reads its share of them.

    Megatron and torch look at no sum: a weight with an altered bit is loaded as it is.
    """
    tensors = read_metadata(weights).tensors
    locations = [box.location for name, tensor in tensors.items() if not _is_training(name) for box in tensor.boxes]
    mine = locations[torch.distributed.get_rank() :: torch.distributed.get_world_size()]
    if problems := _of_all_ranks(list(damaged_chunks(mine))):
        more = [f"engine: {weights}: and {len(problems) - _MOST} more"] if problems[_MOST:] else []
        raise ConfigError([*(f"engine: {problem}" for problem in problems[:_MOST]), *more])


def _is_training(name: str) -> bool:
    """Whether a tensor is the optimizer's or another part of the training's state, which is not loaded here."""
    return name.startswith(("optimizer.", "rng_state", "rerun_state_machine_state"))


def _of_all_ranks(problems: list[str]) -> list[str]:
    """What any rank found, each once."""
    by_rank: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(by_rank, problems)
    return sorted({problem for found in by_rank for problem in found})


def poison(model: Any, tp_rank: int, vocab_size: int) -> None:
    """Fill every parameter and saved buffer of a pipeline stage with NaN.

    The rows that pad the vocabulary become 0: no checkpoint has to have them.
    """
    for name, tensor in _saved(model):
        tensor.fill_(torch.nan)
        if name.endswith(_OF_VOCABULARY):
            tensor[max(vocab_size - tp_rank * tensor.size(0), 0) :] = 0


def unfilled(model: Any) -> list[str]:
    """What is still NaN, by name: all of it where the checkpoint lacks it, some of it where NaN was saved."""
    found = []
    for name, tensor in _saved(model):
        bad = tensor.isnan()
        if bad.all():
            found.append(f"{name} was not filled: the checkpoint does not have it under these flags")
        elif bad.any():
            found.append(f"{name} holds NaN in {int(bad.sum())} of {bad.numel()} places")
    return found


def _saved(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of numbers that a checkpoint has of a stage, in place, without the wrappers' prefixes."""
    for name, value in model.state_dict(keep_vars=True).items():
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel():
            yield name.removeprefix("module."), value.data


def _reason(error: BaseException) -> str:
    """What was wrong, on one line: torch wraps each rank's error and adds its traceback."""
    if isinstance(error, CheckpointException):
        error = next(iter(error.failures.values()))[0]
    text = " ".join(str(error.args[0] if error.args else error).split())
    text = text.split(": [")[0]
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]} …"

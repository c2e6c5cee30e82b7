"""One forward pass of a checkpoint, as Megatron itself builds, loads and runs the model.

Legend: b sequences, s tokens each, v vocabulary, d multi-token prediction layers, h hidden size, tp ranks.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from megatron.core import mpu
from megatron.core.tensor_parallel.mappings import gather_from_tensor_model_parallel_region
from megatron.core.utils import get_attr_wrapped_model
from numpy.typing import NDArray

from harness.engine.session import ModelSession
from harness.errors import ConfigError


def write_logits(tokens_file: Path, output: Path) -> None:
    """Compute what `harness.engine.forward` promises, with `sys.argv` as Megatron's command line."""
    tokens = _read_tokens(tokens_file)
    session = ModelSession.start(seq_length=tokens.shape[1], problems=lambda args: _problems(args, tokens))
    session.load(Path(session.args.load))
    found = _run(session, torch.from_numpy(tokens))
    if found and mpu.get_tensor_model_parallel_rank() == 0 and mpu.get_data_parallel_rank() == 0:
        _write(output, found)
    session.close()


def _read_tokens(path: Path) -> NDArray[np.int64]:
    """Token numbers [b, s]."""
    try:
        tokens = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"engine: cannot read the tokens in {path} ({error}); save whole numbers [b, s]") from None
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu" or not tokens.size:
        raise ConfigError(f"engine: {path} holds {tokens.dtype} {list(tokens.shape)}; save whole numbers [b, s]")
    return np.ascontiguousarray(tokens, dtype=np.int64)


def _problems(args: Any, tokens: NDArray[np.int64]) -> list[str]:
    """What keeps these tokens from being computed under these flags."""
    problems = []
    if not args.load:
        problems.append("--load DIR is missing: there is no checkpoint to compute with")
    if args.vocab_size and not 0 <= tokens.min() <= tokens.max() < args.vocab_size:
        problems.append(f"tokens are from {tokens.min()} to {tokens.max()}; allowed: 0 to {args.vocab_size - 1}")
    return problems


def _run(session: ModelSession, tokens: torch.Tensor) -> dict[str, NDArray[np.float32]]:
    """The arrays of OUTPUT.npz on the ranks of the last pipeline stage; nothing on the others."""
    args = session.args
    predicted: list[torch.Tensor] = []
    if mpu.is_pipeline_last_stage() and args.mtp_num_layers:
        mtp = get_attr_wrapped_model(session.model[-1], "mtp")
        mtp.register_forward_hook(lambda _mtp, _inputs, out: predicted.append(out))
    logits = session.forward_logits(tokens)
    if logits is None:
        return {}
    found = {"logits": gather_from_tensor_model_parallel_region(logits)[..., : args.vocab_size]}
    if predicted:
        layers = predicted[0].chunk(1 + args.mtp_num_layers)[1:]  # [s, b, h] each, behind the decoder's
        found["mtp_hidden"] = torch.stack(layers).transpose(1, 2)
    return {name: array.float().cpu().numpy() for name, array in found.items()}


def _write(path: Path, arrays: dict[str, NDArray[np.float32]]) -> None:
    """Write all or nothing."""
    partial = path.with_name(f"{path.name}.partial")
    save: Callable[..., None] = np.savez  # its own type takes any of the names for the switch `allow_pickle`
    try:
        with partial.open("wb") as file:
            save(file, **arrays)
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"engine: cannot write {path} ({error.strerror}); give a path that can be written") from None

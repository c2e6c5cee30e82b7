"""One forward pass of a checkpoint, as Megatron itself builds, loads and runs the model.

Legend: b sequences, s tokens each, v vocabulary, d multi-token prediction layers, h hidden size, tp ranks.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
from megatron.core import mpu
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.process_groups_config import ProcessGroupCollection
from megatron.core.tensor_parallel.mappings import (
    gather_from_sequence_parallel_region,
    gather_from_tensor_model_parallel_region,
)
from megatron.core.utils import get_attr_wrapped_model
from megatron.training.argument_utils import gpt_config_from_args
from megatron.training.arguments import parse_and_validate_args
from megatron.training.initialize import initialize_megatron
from numpy.typing import NDArray

from harness.engine import lazy_imports, router
from harness.engine.data import embedding_ranks, use_built_helpers
from harness.engine.load import load_weights
from harness.engine.model import TorchNativeBuilder, TorchNativeConfig
from harness.engine.supported import refuse_unsupported
from harness.errors import ConfigError

# Weights alone are read, and no tokenizer: the tokens are given.
_OWN_FLAGS = (
    *("--finetune", "--no-load-optim", "--no-load-rng", "--exit-on-missing-checkpoint", "--auto-detect-ckpt-format"),
    *("--tokenizer-type", "NullTokenizer", "--micro-batch-size", "1", "--mock-data"),
)


def write_logits(tokens_file: Path, output: Path) -> None:
    """Compute what `harness.engine.forward` promises, with `sys.argv` as Megatron's command line."""
    tokens = _read_tokens(tokens_file)
    sys.argv += [*_OWN_FLAGS, "--seq-length", str(tokens.shape[1])]
    lazy_imports.install()
    args = parse_and_validate_args()
    config = gpt_config_from_args(args, model_config_cls=TorchNativeConfig)
    refuse_unsupported(args, config.transformer)
    _refuse(args, tokens)
    use_built_helpers()
    router.install()
    initialize_megatron(get_embedding_ranks=embedding_ranks)
    groups = ProcessGroupCollection.use_mpu_process_groups()
    model = TorchNativeBuilder(config).build_distributed_models(pg_collection=groups, wrap_with_ddp=False)
    load_weights(args, model)
    found = _run(args, model, torch.from_numpy(tokens).cuda())
    if found and mpu.get_tensor_model_parallel_rank() == 0 and mpu.get_data_parallel_rank() == 0:
        _write(output, found)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _read_tokens(path: Path) -> NDArray[np.int64]:
    """Token numbers [b, s]."""
    try:
        tokens = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"engine: cannot read the tokens in {path} ({error}); save whole numbers [b, s]") from None
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu" or not tokens.size:
        raise ConfigError(f"engine: {path} holds {tokens.dtype} {list(tokens.shape)}; save whole numbers [b, s]")
    return np.ascontiguousarray(tokens, dtype=np.int64)


def _refuse(args: Any, tokens: NDArray[np.int64]) -> None:
    """Raise one ConfigError that names all that keeps these tokens from being computed under these flags."""
    problems = []
    if not args.load:
        problems.append("--load DIR is missing: there is no checkpoint to compute with")
    if not 0 <= tokens.min() <= tokens.max() < args.vocab_size:
        problems.append(f"tokens are from {tokens.min()} to {tokens.max()}; allowed: 0 to {args.vocab_size - 1}")
    if args.sequence_parallel and tokens.shape[1] % args.tensor_model_parallel_size:
        tp = args.tensor_model_parallel_size
        problems.append(f"{tokens.shape[1]} tokens a sequence do not divide by TP={tp}; cut or pad them")
    for flag, given in {
        "--context-parallel-size": args.context_parallel_size > 1,
        "--num-virtual-stages-per-pipeline-rank": args.virtual_pipeline_model_parallel_size is not None,
        "--pipeline-model-parallel-layout": args.pipeline_model_parallel_layout is not None,
    }.items():
        if given:
            problems.append(f"{flag} is for training; leave it out, for the logits do not depend on it")
    if problems:
        raise ConfigError([f"engine: {problem}" for problem in problems])


def _run(args: Any, model: list[Any], tokens: torch.Tensor) -> dict[str, NDArray[np.float32]]:
    """The arrays of OUTPUT.npz on the ranks of the last pipeline stage; nothing on the others."""
    for stage in model:
        stage.eval()
    last = model[-1]
    predicted: list[torch.Tensor] = []
    if mpu.is_pipeline_last_stage() and args.mtp_num_layers:
        get_attr_wrapped_model(last, "mtp").register_forward_hook(lambda _mtp, _inputs, out: predicted.append(out))
    with torch.no_grad():
        logits = get_forward_backward_func()(
            forward_step_func=_step,
            data_iterator=iter([tokens]),
            model=model,
            num_microbatches=1,
            seq_length=tokens.size(1),
            micro_batch_size=tokens.size(0),
            forward_only=True,
            collect_non_loss_data=True,
        )
    if not logits:
        return {}
    found = {"logits": gather_from_tensor_model_parallel_region(logits[0])[..., : args.vocab_size]}
    if predicted:
        found["mtp_hidden"] = _by_layer(predicted[0], args)
    return {name: array.float().cpu().numpy() for name, array in found.items()}


def _step(tokens: Any, stage: Any) -> tuple[torch.Tensor, None]:
    """The stage's output: hidden states, and on the last stage logits [b, s, v/tp]; there is no loss."""
    batch = next(tokens)
    positions = torch.arange(batch.size(1), device=batch.device).expand_as(batch)
    return stage(batch, positions, None), None


def _by_layer(hidden: torch.Tensor, args: Any) -> torch.Tensor:
    """Those of the decoder and of d layers under each other, [(1 + d)·s(/tp), b, h] → of the d layers, [d, b, s, h]."""
    layers = hidden.chunk(1 + args.mtp_num_layers)[1:]
    if args.sequence_parallel:
        layers = tuple(gather_from_sequence_parallel_region(layer) for layer in layers)
    return torch.stack(layers).transpose(1, 2)


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

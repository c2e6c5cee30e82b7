"""A model that Megatron builds once, loads checkpoint after checkpoint into and runs forward.

Legend: b sequences, s tokens each, v padded vocabulary, tp ranks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
import torch.distributed
from megatron.core import mpu
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.process_groups_config import ProcessGroupCollection
from megatron.training.argument_utils import gpt_config_from_args
from megatron.training.arguments import parse_args, validate_args
from megatron.training.global_vars import set_global_variables
from megatron.training.initialize import initialize_megatron

from harness.arch.layout import layout_stages
from harness.checkpoint.folder import find_checkpoint
from harness.engine import lazy_imports, router
from harness.engine.data import embedding_ranks, use_built_helpers
from harness.engine.load import load_weights
from harness.engine.model import TorchNativeBuilder, TorchNativeConfig
from harness.engine.supported import refuse_unsupported
from harness.errors import ConfigError

# Weights alone are read, and no tokenizer: the tokens are given.
_WEIGHTS_ALONE = {
    "finetune": True,
    "no_load_optim": True,
    "no_load_rng": True,
    "exit_on_missing_checkpoint": True,
    "auto_detect_ckpt_format": True,
    "ckpt_format": "torch_dist",
    "ckpt_step": None,
    "pretrained_checkpoint": None,
    "tokenizer_type": "NullTokenizer",
    "mock_data": True,
}
# Of a training's command line: how steps are made, and where they are told.
_NO_TRAINING = {
    "micro_batch_size": 1,
    "global_batch_size": None,
    "rampup_batch_size": None,
    "step_batch_size_schedule": None,
    "save": None,
    "tensorboard_dir": None,
    "wandb_project": "",
    "moe_input_jitter_eps": None,
    # Without it every tensor-parallel rank sees all tokens, and any number of them will do. MoE layers demand it in
    # training alone.
    "sequence_parallel": False,
    "tp_comm_overlap": False,
    # The dispatcher that takes any number of tokens from each rank: copies of the model read sequences of their own.
    "moe_token_dispatcher_type": "alltoall",
}


@dataclass(frozen=True, kw_only=True)
class ModelSession:
    """The stages of `model` on this rank, in evaluation mode, and Megatron's `args` that they were built by."""

    args: Any
    model: list[Any]

    @classmethod
    def start(cls, *, seq_length: int, problems: Callable[[Any], list[str]] = lambda _args: []) -> Self:
        """Build the model that `sys.argv` describes, for at most `seq_length` tokens a sequence.

        One ConfigError names all that cannot be carried out; `problems` adds the caller's, from Megatron's arguments.
        """
        lazy_imports.install()
        args = _parse(seq_length, problems)
        config = gpt_config_from_args(args, model_config_cls=TorchNativeConfig)
        refuse_unsupported(args, config.transformer)
        use_built_helpers()
        router.install()
        initialize_megatron(get_embedding_ranks=embedding_ranks)
        groups = ProcessGroupCollection.use_mpu_process_groups()
        model = TorchNativeBuilder(config).build_distributed_models(pg_collection=groups, wrap_with_ddp=False)
        for stage in model:
            stage.eval()
        return cls(args=args, model=model)

    def load(self, checkpoint: Path) -> None:
        """Load a checkpoint in place of what was there: the folder of an iteration, or one with a tracker.

        ConfigError names what is missing of it, what Megatron cannot load, and what stays unfilled on any rank.
        """
        try:
            weights = find_checkpoint(checkpoint).folder
        except ConfigError as error:
            raise ConfigError(f"engine: {error}") from None
        load_weights(self.args, self.model, weights)

    def forward_logits(self, tokens: torch.Tensor) -> torch.Tensor | None:
        """Tokens [b, s] → logits [b, s, v/tp] on the ranks of the last pipeline stage, None on the others.

        What pads the vocabulary has logits of -inf.
        """
        found = self.forward([tokens], self.without_padding)
        return found[0] if found else None

    @torch.no_grad()
    def forward[T](self, batches: Sequence[torch.Tensor], take: Callable[[torch.Tensor], T]) -> list[T]:
        """Run micro-batches of tokens, [b, s] each: what `take` makes of each one's logits [b, s, v/tp].

        Nothing on the ranks of all pipeline stages but the last one.
        """
        found: list[T] = get_forward_backward_func()(
            forward_step_func=partial(_step, take),
            data_iterator=iter(batches),
            model=self.model,
            num_microbatches=len(batches),
            seq_length=batches[0].size(1),
            micro_batch_size=batches[0].size(0),
            forward_only=True,
            collect_non_loss_data=True,
        )
        return found

    def without_padding(self, logits: torch.Tensor) -> torch.Tensor:
        """Set what pads the vocabulary to -inf, in place, in logits [..., v/tp]."""
        first = mpu.get_tensor_model_parallel_rank() * logits.size(-1)
        logits[..., max(self.args.vocab_size - first, 0) :] = -torch.inf
        return logits

    def close(self) -> None:
        """End the rank's part in the process groups, once all ranks are here."""
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _parse(seq_length: int, problems: Callable[[Any], list[str]]) -> Any:
    """Megatron's arguments for evaluation, made global."""
    args = parse_args()
    for name, value in {**_WEIGHTS_ALONE, **_NO_TRAINING, "seq_length": seq_length}.items():
        setattr(args, name, value)
    if found := [*problems(args), *_not_carried_out(args)]:
        raise ConfigError([f"engine: {problem}" for problem in found])
    validate_args(args)
    set_global_variables(args)
    return args


def _not_carried_out(args: Any) -> Iterator[str]:
    """What an evaluation cannot do with these flags."""
    if args.vocab_size is None:
        yield "--vocab-size is missing: what pads the vocabulary is not known"
    if args.max_position_embeddings is not None and args.max_position_embeddings < args.seq_length:
        yield (
            f"{args.seq_length} tokens a sequence are more than --max-position-embeddings "
            f"{args.max_position_embeddings}; cut them"
        )
    for flag, given in {
        "--context-parallel-size": args.context_parallel_size > 1,
        "--num-virtual-stages-per-pipeline-rank": args.num_virtual_stages_per_pipeline_rank is not None,
        "--num-layers-per-virtual-pipeline-stage": args.num_layers_per_virtual_pipeline_stage is not None,
        "--pipeline-model-parallel-layout with virtual stages": _is_interleaved(args),
    }.items():
        if given:
            yield f"{flag} is for training; leave it out, for the logits do not depend on it"
    if args.moe_router_force_load_balancing or args.moe_router_force_biased is not None:
        yield "--moe-router-force-load-balancing and --moe-router-force-biased route at random; leave them out"


def _is_interleaved(args: Any) -> bool:
    """Whether a layout has more stages than the pipeline has ranks."""
    layout = args.pipeline_model_parallel_layout
    return layout is not None and len(layout_stages(layout)) > args.pipeline_model_parallel_size


def _step(take: Callable[[torch.Tensor], Any], batches: Iterator[torch.Tensor], stage: Any) -> Any:
    """Megatron's forward step: a stage's output for the next batch, and what is kept of it on the last stage."""
    batch = next(batches).cuda(non_blocking=True)
    positions = torch.arange(batch.size(1), device=batch.device).expand_as(batch)
    return stage(batch, positions, None), lambda logits, non_loss_data: take(logits)

"""Logits of chosen tokens alone, read where they are made: the vocabulary's projection is left out for all others.

Legend: b sequences, s tokens each, k chosen tokens, h hidden size, v vocabulary.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed
from megatron.core import mpu
from megatron.core.inference.contexts import StaticInferenceContext
from megatron.core.inference.utils import InferenceMode
from megatron.core.pipeline_parallel import get_forward_backward_func

from harness.engine.session import ModelSession

# Takes logits [k, v] in fp32 and the numbers from 0 of the chosen tokens they are of; returns a tensor [k, …].
type ReadLogits = Callable[[torch.Tensor, slice], torch.Tensor]

_CHUNK = 1024  # tokens whose logits exist at a time; those of DeepSeek-V3 are 0.5 GB


class TokenLogits:
    """The stages of a model on this rank, as something that answers for chosen tokens. All of its ranks take part."""

    def __init__(self, session: ModelSession) -> None:
        """Of the model of `session`, with the weights that it holds at the time."""
        self.vocab_size: int = session.args.vocab_size
        self._stages = session.model

    def cache(self, sequences: int, tokens: int) -> StaticInferenceContext:
        """An empty KV cache, Megatron's own, for so many sequences of at most so many tokens."""
        context = StaticInferenceContext(sequences, tokens)
        context.config.materialize_only_last_token_logits = False
        return context

    @torch.no_grad()
    def read(
        self,
        tokens: torch.Tensor,
        chosen: tuple[torch.Tensor, torch.Tensor],
        reader: ReadLogits,
        cache: StaticInferenceContext | None = None,
    ) -> torch.Tensor | None:
        """One forward pass over [b, s]; what `reader` makes of the logits that follow the chosen tokens.

        `chosen` are k sequences and k places of tokens in them. With a cache the tokens come after those it holds, and
        it holds them too afterwards. None on ranks that are not of the last pipeline stage.
        """
        with InferenceMode.active():
            answers = get_forward_backward_func()(
                forward_step_func=self._step(chosen, reader, cache),
                data_iterator=iter([tokens]),
                model=self._stages,
                num_microbatches=1,
                seq_length=tokens.size(1),
                micro_batch_size=tokens.size(0),
                forward_only=True,
                collect_non_loss_data=True,
            )
        if cache is not None:
            cache.increment_sequence_len_offset(tokens.size(1))
        return answers[0] if answers else None

    def idle(self) -> None:
        """One forward pass over nothing of interest, for the ranks that exchange experts' tokens with this one."""
        device = torch.cuda.current_device()
        nothing = torch.zeros(1, dtype=torch.long, device=device)
        self.read(nothing[None], (nothing, nothing), lambda logits, _rows: logits[:, :1])

    def _step(self, chosen: tuple[torch.Tensor, torch.Tensor], reader: ReadLogits, cache: Any) -> Any:
        """The forward step that Megatron's schedules call."""
        start = 0 if cache is None else cache.sequence_len_offset

        def processed(**parts: Any) -> torch.Tensor:
            return self._processed(chosen, reader, **parts)

        def step(batches: Any, stage: Any) -> tuple[torch.Tensor, None]:
            batch = next(batches)
            positions = torch.arange(start, start + batch.size(1), device=batch.device).expand_as(batch)
            options = {"inference_context": cache, "runtime_gather_output": True, "output_processor": processed}
            return stage(batch, positions, None, **options), None

        return step

    def _processed(
        self,
        chosen: tuple[torch.Tensor, torch.Tensor],
        reader: ReadLogits,
        *,
        hidden_states: torch.Tensor,
        output_layer: Any,
        output_weight: torch.Tensor | None,
        scale_logits: Callable[[torch.Tensor], torch.Tensor],
        **_unused: Any,
    ) -> torch.Tensor:
        """Hidden states [s, b, h] → what `reader` makes of the chosen tokens' logits."""
        sequences, places = chosen
        answers = []
        for first in range(0, len(places), _CHUNK):
            rows = slice(first, first + _CHUNK)
            hidden = hidden_states[places[rows], sequences[rows]].unsqueeze(1)  # [k, 1, h]
            logits, _bias = output_layer(hidden, weight=output_weight, runtime_gather_output=True)
            answers.append(reader(scale_logits(logits)[:, 0, : self.vocab_size].float(), rows))
        return torch.cat(answers)


def is_decider() -> bool:
    """Whether this is the rank, of those that hold one copy of the model, that reads its logits for all of them."""
    return mpu.is_pipeline_last_stage() and mpu.get_tensor_model_parallel_rank() == 0


def told_by_decider(tensor: torch.Tensor) -> torch.Tensor:
    """The decider's tensor, of the same shape and type, on all ranks that hold this copy of the model."""
    group = mpu.get_model_parallel_group()
    if group.size() > 1:
        # Ranks of a group are in order, the tensor-parallel ones of a stage next to each other, stage after stage.
        source = torch.distributed.get_process_group_ranks(group)[-mpu.get_tensor_model_parallel_world_size()]
        torch.distributed.broadcast(tensor, src=source, group=group)
    return tensor

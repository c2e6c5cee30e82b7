"""Logits of chosen tokens alone, read where they are made: the vocabulary's projection is left out for all others.

Legend: b sequences, s tokens each, k chosen tokens, h hidden size, v vocabulary.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed
from megatron.core import mpu
from megatron.core.inference.contexts import StaticInferenceContext
from megatron.core.inference.utils import InferenceMode
from megatron.core.pipeline_parallel import get_forward_backward_func

from harness.engine.session import ModelSession

# Takes logits [k, v] in fp32 and which of the chosen tokens they are of, [k]; returns a tensor [k, …].
type ReadLogits = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

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

        `chosen` are k sequences, ascending, and k places of tokens in them. With a cache the tokens come after those it
        holds, and it holds them too afterwards. None on ranks that are not of the last pipeline stage.
        """
        parts = _micro_batches(tokens, 1 if cache is not None else mpu.get_pipeline_model_parallel_world_size())
        passes = iter([_Pass(part, first, chosen, self._of_vocabulary(reader)) for first, part in parts])
        with InferenceMode.active():
            answers = get_forward_backward_func()(
                forward_step_func=self._step(cache),
                data_iterator=passes,
                model=self._stages,
                num_microbatches=len(parts),
                seq_length=tokens.size(1),
                micro_batch_size=len(parts[0][1]),
                forward_only=True,
                collect_non_loss_data=True,
            )
        if cache is not None:
            cache.increment_sequence_len_offset(tokens.size(1))
        return torch.cat([answer for answer in answers if len(answer)]) if answers else None

    def idle(self, *, cached: bool) -> None:
        """One forward pass over nothing of interest, for the ranks that exchange experts' tokens with this one.

        They do one with a cache or without: passes without one are cut into micro-batches.
        """
        nothing = torch.zeros(1, dtype=torch.long, device=torch.cuda.current_device())
        cache = self.cache(1, 1) if cached else None
        self.read(nothing[None], (nothing, nothing), lambda logits, _rows: logits[:, :1], cache)

    def _of_vocabulary(self, reader: ReadLogits) -> ReadLogits:
        """The reader, which does not see what pads the vocabulary."""
        return lambda logits, rows: reader(logits[:, : self.vocab_size].float(), rows)

    def _step(self, cache: Any) -> Any:
        """The forward step that Megatron's schedules call."""
        start = 0 if cache is None else cache.sequence_len_offset

        def step(passes: Iterator[_Pass], stage: Any) -> tuple[torch.Tensor, None]:
            one = next(passes)
            positions = torch.arange(start, start + one.tokens.size(1), device=one.tokens.device)
            options = {"inference_context": cache, "runtime_gather_output": True, "output_processor": one.answer}
            return stage(one.tokens, positions.expand_as(one.tokens), None, **options), None

        return step


class _Pass:
    """A micro-batch, and what is read of it."""

    def __init__(
        self, tokens: torch.Tensor, first: int, chosen: tuple[torch.Tensor, torch.Tensor], reader: ReadLogits
    ) -> None:
        """`tokens` [b, s] are the sequences from number `first` on."""
        self.tokens = tokens
        sequences, self._places = chosen
        self._sequences = sequences - first
        self._rows = ((self._sequences >= 0) & (self._sequences < len(tokens))).nonzero()[:, 0]
        self._reader = reader

    def answer(
        self,
        *,
        hidden_states: torch.Tensor,
        output_layer: Any,
        output_weight: torch.Tensor | None,
        scale_logits: Callable[[torch.Tensor], torch.Tensor],
        **_unused: Any,
    ) -> torch.Tensor:
        """Hidden states [s, b, h] → what the reader makes of the chosen tokens' logits; [0] where none is chosen."""
        answers = [hidden_states.new_empty(0)] if not len(self._rows) else []
        for rows in self._rows.split(_CHUNK):
            hidden = hidden_states[self._places[rows], self._sequences[rows]].unsqueeze(1)  # [k, 1, h]
            logits, _bias = output_layer(hidden, weight=output_weight, runtime_gather_output=True)
            answers.append(self._reader(scale_logits(logits)[:, 0], rows))
        return torch.cat(answers)


def _micro_batches(tokens: torch.Tensor, count: int) -> list[tuple[int, torch.Tensor]]:
    """Sequences [b, s] cut into `count` parts of as many sequences each, with the number of the first of each.

    Sequences of zeros are added at the end where b does not divide.
    """
    size = -(-len(tokens) // count)
    padded = torch.nn.functional.pad(tokens, (0, 0, 0, size * count - len(tokens)))
    return [(number * size, part) for number, part in enumerate(padded.split(size))]


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

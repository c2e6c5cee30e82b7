"""Ranks that stay and answer: rank 0 asks, all of them carry it out, rank 0 has the answer.

Batches are dealt over the data-parallel copies of the model. What is asked travels over gloo, whose ranks may wait
long: between two questions rank 0 reads data sets and computes metrics.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import Any

import torch
import torch.distributed
from megatron.core import mpu

from harness.engine.batching import BatchLimit, batches_of
from harness.engine.generation import Decoding, Ends, Prompt, generate
from harness.engine.in_step import run_in_step
from harness.engine.scoring import Score, Scored, score
from harness.engine.session import ModelSession
from harness.engine.token_logits import TokenLogits
from harness.errors import ConfigError
from harness.evaluation.text_tokenizer import TextTokenizer, load_text_tokenizer

_PATIENCE = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class _Scoring:
    """Score every continuation."""

    sequences: Sequence[Scored]


@dataclass(frozen=True, kw_only=True)
class _Generating:
    """Go on from every prompt up to one of the texts in `stops`."""

    prompts: Sequence[Prompt]
    decoding: Decoding
    stops: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Ending:
    """Ask no more; `problems` are what rank 0 met."""

    problems: tuple[str, ...] = ()


class Answerer:
    """Made on every rank of a session at once. Rank 0 asks, and ends with `end`; the others `serve`."""

    def __init__(self, session: ModelSession, tokenizer: str | None, limit: BatchLimit) -> None:
        """`tokenizer` is a folder, None for bytes: texts that end a generation are looked for in decoded tokens."""
        self.model = TokenLogits(session)
        self.limit = limit
        self._tokenizer = tokenizer
        self._ranks: Any = torch.distributed.new_group(backend="gloo", timeout=_PATIENCE)

    def score(self, sequences: Sequence[Scored]) -> dict[int, Score]:
        """The score of every continuation, by its number. Rank 0 alone calls it."""
        return self._ask(_Scoring(sequences=sequences))

    def generate(self, prompts: Sequence[Prompt], decoding: Decoding, stops: tuple[str, ...]) -> dict[int, list[int]]:
        """The new tokens of every prompt, by its number. They end with what holds one of `stops`. Rank 0 calls it."""
        return self._ask(_Generating(prompts=prompts, decoding=decoding, stops=stops))

    def end(self, problems: tuple[str, ...] = ()) -> None:
        """Let the other ranks return from `serve`, with a ConfigError of `problems` if there are any."""
        self._told(_Ending(problems=problems))

    def serve(self) -> None:
        """Carry out what rank 0 asks until it ends. All other ranks call it."""
        while not isinstance(asked := self._told(None), _Ending):
            self._carried_out(asked)
        if asked.problems:
            raise ConfigError(asked.problems)

    def _ask(self, asked: Any) -> Any:
        self._told(asked)
        return self._carried_out(asked)

    def _told(self, asked: Any) -> Any:
        """Rank 0's object, on every rank."""
        box = [asked]
        torch.distributed.broadcast_object_list(box, src=0, group=self._ranks)
        return box[0]

    def _carried_out(self, asked: _Scoring | _Generating) -> dict[int, Any]:
        """This copy's part of the work; on rank 0 all answers."""
        found: dict[int, Any] = {}
        idle = partial(self.model.idle, cached=isinstance(asked, _Generating))
        run_in_step(self._work(asked, found), idle)
        by_rank: list[Any] | None = None
        if torch.distributed.get_rank() == 0:
            by_rank = [None] * torch.distributed.get_world_size()
        torch.distributed.gather_object(found, by_rank, dst=0, group=self._ranks)
        return {number: answer for part in by_rank or () for number, answer in part.items()}

    def _work(self, asked: _Scoring | _Generating, found: dict[int, Any]) -> Iterator[None]:
        """The batches of this copy, one after the other."""
        mine = slice(mpu.get_data_parallel_rank(), None, mpu.get_data_parallel_world_size())
        if isinstance(asked, _Scoring):
            for batch in batches_of(asked.sequences, lambda scored: len(scored.tokens), self.limit)[mine]:
                yield from score(self.model, batch, found)
            return
        ends, new = self._ends(asked.stops), asked.decoding.max_new_tokens
        # Where a batch's prompts differ in length by more, two batches take fewer steps.
        batches = batches_of(asked.prompts, lambda prompt: len(prompt.tokens) + new, self.limit, spread=new)
        for prompts in batches[mine]:
            yield from generate(self.model, prompts, asked.decoding, ends, found)

    def _ends(self, stops: tuple[str, ...]) -> Ends:
        """Whether one of `stops` is in the text of the tokens, of which the last is new."""
        # A token is a byte of text or more, but for special ones.
        reach = max((len(stop.encode()) for stop in stops), default=0) + 4

        def ends(tokens: Sequence[int]) -> bool:
            if not stops:
                return False
            text = _tokenizer(self._tokenizer).decode(tokens[-reach:], skip_special_tokens=False)
            return any(stop in text for stop in stops)

        return ends


@cache
def _tokenizer(folder: str | None) -> TextTokenizer:
    """The tokenizer, loaded where and when a rank looks for the end of a text."""
    return load_text_tokenizer(folder)

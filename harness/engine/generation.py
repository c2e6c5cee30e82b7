"""Text that goes on from prompts, token by token, with a KV cache, under any mapping.

Prompts of a batch may differ in length. All are read up to the shortest one's end; from there on a step is one token in
all of them, a prompt's own while it lasts and a chosen one after that. So nothing is padded and nothing is masked.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from harness.engine.token_logits import TokenLogits, is_decider, told_by_decider

# Takes the tokens that were chosen for one prompt so far: whether it needs no more.
type Ends = Callable[[Sequence[int]], bool]


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How tokens are chosen: the likeliest, or drawn where `temperature` is above 0.

    A draw is among the `top_k` likeliest (None: all), and of these among the fewest that together have probability
    `top_p`. `end` is the token that ends a text, None if only its length and `Ends` do.
    """

    max_new_tokens: int
    end: int | None
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompt:
    """Tokens [s] to go on from. `number` tells prompts apart: each has draws of its own, whatever batch it is in."""

    number: int
    tokens: NDArray[np.int32]


def generate(
    model: TokenLogits, prompts: Sequence[Prompt], decoding: Decoding, ends: Ends, found: dict[int, list[int]]
) -> Iterator[None]:
    """Put into `found` the new tokens of every prompt, by its number; stop before each forward pass.

    An `end` is not among them. All ranks that hold the model call it alike; only the decider asks `ends`.
    """
    texts = [_Text(prompt, decoding, ends) for prompt in prompts]
    device = torch.cuda.current_device()
    lengths = [len(prompt.tokens) for prompt in prompts]
    cache = model.cache(len(prompts), max(lengths) + decoding.max_new_tokens)
    fed = torch.from_numpy(np.stack([prompt.tokens[: min(lengths)] for prompt in prompts])).long().to(device)
    rows = torch.arange(len(prompts), device=device)
    place, is_over = min(lengths), False
    while not is_over:
        yield
        last = torch.full_like(rows, fed.size(1) - 1)
        logits = model.read(fed, (rows, last), lambda logits, _rows: logits, cache)
        step = torch.zeros(len(prompts) + 1, dtype=torch.long, device=device)
        if is_decider():
            assert logits is not None
            step = torch.tensor(_decided(texts, logits, place, decoding), device=device)
        step = told_by_decider(step)
        fed, is_over = step[:-1, None], bool(step[-1])
        place += 1
    if is_decider():
        found.update({text.number: text.chosen for text in texts})


def _decided(texts: Sequence["_Text"], logits: torch.Tensor, place: int, decoding: Decoding) -> list[int]:
    """The token at `place` of every text, and at the end whether all are over. `logits` [b, v] precede it."""
    choices = (_drawn(logits, decoding, texts) if decoding.temperature > 0 else logits.argmax(dim=1)).tolist()
    tokens = [text.take(place, choice) for text, choice in zip(texts, choices, strict=True)]
    return [*tokens, int(all(text.is_over for text in texts))]


def _drawn(logits: torch.Tensor, decoding: Decoding, texts: Sequence["_Text"]) -> torch.Tensor:
    """A token of each row of [b, v], drawn by the text's own next number."""
    count = logits.size(1) if decoding.top_k is None else min(decoding.top_k, logits.size(1))
    scores, tokens = (logits / decoding.temperature).topk(count, dim=1)  # descending
    kept = scores.double().softmax(dim=1)
    kept = kept.masked_fill(kept.cumsum(dim=1) - kept >= decoding.top_p, 0.0)
    ends = kept.cumsum(dim=1)
    draws = torch.tensor([[text.draw()] for text in texts], dtype=ends.dtype, device=ends.device)
    places = torch.searchsorted(ends, draws * ends[:, -1:], right=True).clamp(max=count - 1)
    return tokens.gather(1, places)[:, 0]


class _Text:
    """One prompt and what was chosen for it."""

    def __init__(self, prompt: Prompt, decoding: Decoding, ends: Ends) -> None:
        self.number = prompt.number
        self.chosen: list[int] = []
        self.is_over = False
        self._prompt, self._decoding, self._ends = prompt.tokens, decoding, ends
        self._draws = np.random.default_rng((decoding.seed, prompt.number))

    def draw(self) -> float:
        """The next number of this text, from 0 to below 1."""
        return float(self._draws.random())

    def take(self, place: int, choice: int) -> int:
        """The token at `place`: the prompt's own while it lasts, then `choice`, which may be the last."""
        if place < len(self._prompt):
            return int(self._prompt[place])
        if not self.is_over:
            if choice == self._decoding.end:
                self.is_over = True
                return choice
            self.chosen.append(choice)
            self.is_over = len(self.chosen) >= self._decoding.max_new_tokens or self._ends(self.chosen)
        return choice

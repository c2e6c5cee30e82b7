"""The log-likelihood that a model gives to continuations, and whether it would have chosen them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from harness.engine.token_logits import TokenLogits, is_decider


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """The `targets` that follow the last of a sequence's tokens, one token each. `number` tells requests apart."""

    number: int
    targets: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """A sequence of tokens [s], read once, and the continuations to be scored at its end."""

    tokens: NDArray[np.int32]
    continuations: tuple[Continuation, ...]


@dataclass(frozen=True, kw_only=True)
class Score:
    """The summed natural log-likelihood of a continuation; `is_greedy` if each of its tokens was the likeliest."""

    log_likelihood: float
    is_greedy: bool


def score(model: TokenLogits, batch: Sequence[Scored], found: dict[int, Score]) -> Iterator[None]:
    """Put into `found` the score of every continuation, by its number; stop before the one forward pass.

    Sequences are padded at their right. All ranks that hold the model call it alike; the decider has the scores.
    """
    rows = [
        (row, place, target, continuation.number)
        for row, scored in enumerate(batch)
        for continuation in scored.continuations
        for place, target in enumerate(continuation.targets, len(scored.tokens) - len(continuation.targets))
    ]
    device = torch.cuda.current_device()
    row, place, target, number = torch.tensor(rows, device=device).T
    padded = np.zeros((len(batch), max(len(scored.tokens) for scored in batch)), dtype=np.int64)
    for tokens, scored in zip(padded, batch, strict=True):
        tokens[: len(scored.tokens)] = scored.tokens
    yield

    def read(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """[k, v] → [k, 2]: each target's log-likelihood, and 1 where nothing was likelier."""
        wanted = target[chosen].unsqueeze(1)
        likelihood = logits.log_softmax(dim=1).gather(1, wanted)
        return torch.cat((likelihood, (logits.argmax(dim=1, keepdim=True) == wanted).float()), dim=1)

    answers = model.read(torch.from_numpy(padded).to(device), (row, place), read)
    if is_decider():
        assert answers is not None
        found.update(_summed(number, answers))


def _summed(number: torch.Tensor, answers: torch.Tensor) -> dict[int, Score]:
    """[k] and [k, 2] → the score of every continuation."""
    names, place = np.unique(number.cpu().numpy(), return_inverse=True)
    values = answers.double().cpu().numpy()
    sums = np.bincount(place, weights=values[:, 0])
    missed = np.bincount(place, weights=1 - values[:, 1])
    return {
        int(name): Score(log_likelihood=float(total), is_greedy=not misses)
        for name, total, misses in zip(names, sums, missed, strict=True)
    }

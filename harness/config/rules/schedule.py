"""Rules of the learning rate and the length of a run."""

import math
from collections.abc import Iterator

from harness.config.directives import Directive, Drop, Flag, Problem
from harness.config.draft import Draft

_BY_SAMPLES = ("--lr-decay-samples", "--lr-warmup-samples")
_BY_ITERATIONS = ("--lr-decay-iters", "--lr-warmup-iters")


def learning_rate(draft: Draft) -> Iterator[Directive]:
    """LR from scratch, LR_FROM_CHECKPOINT after loading; decayed to a tenth."""
    name = "LR_FROM_CHECKPOINT" if draft.flags.has("--load") and draft.text("LR_FROM_CHECKPOINT") else "LR"
    rate = draft.flags.text("--lr") or draft.text(name)
    if not rate:
        return
    if not _is_rate(rate):
        where = f"{name}={rate} ({draft.origin(name)})" if rate == draft.text(name) else f"--lr {rate}"
        yield Problem(text=f"{where} is no learning rate; write a number above 0, such as 3.0e-4")
        return
    yield Flag(flag="--lr", value=rate)
    if not draft.flags.text("--min-lr"):
        yield Flag(flag="--min-lr", value=f"{float(rate) / 10:.3g}")


def one_unit(draft: Draft) -> Iterator[Directive]:
    """A run is counted in iterations or in samples, and its learning rate schedule in the same unit."""
    length, others = (
        ("--train-samples", _BY_ITERATIONS) if draft.flags.has("--train-samples") else ("--train-iters", _BY_SAMPLES)
    )
    for flag in others:
        if draft.flags.has(flag):
            yield Drop(flag=flag, why=f"{flag} {draft.flags.text(flag)} left out: the run is counted by {length}")


def _is_rate(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False

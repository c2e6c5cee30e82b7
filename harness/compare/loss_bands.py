"""Loss curves step by step: whether one stays in the band that those of a baseline make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FEWEST_LOSSES = 10
"""Of steps that all curves have; fewer tell nothing of a curve."""

MOST_OUTSIDE = 0.05
"""The share of all steps that may lie on one side of the band: single steps of a sound run spike.

Where sums are taken in another order, curves soon scatter about each other. So more steps are a departure only if they
are more than twice as many as those on the other side.
"""


@dataclass(frozen=True, kw_only=True)
class LossDeparture:
    """The steps on one side of the band: how many, and the first with its loss and the band there, (least, most)."""

    count: int
    first_step: int
    loss: float
    band: tuple[float, float]
    left: bool  # too often for spikes and scatter


@dataclass(frozen=True, kw_only=True)
class LossBands:
    """One curve against the band at `compared` steps; None where no step lies above, or below."""

    compared: int
    above: LossDeparture | None = None
    below: LossDeparture | None = None
    furthest: float | None = None  # of the steps: the largest loss/band's nearer edge − 1 without tolerance, signed


def compare_losses(
    baselines: Sequence[Mapping[str, float]], losses: Mapping[str, float], tolerance: float
) -> LossBands:
    """Compare losses by step with the band from least·(1 − tolerance) to most·(1 + tolerance) of the baselines'."""
    shared = sorted(set(losses).intersection(*baselines), key=int)
    rows: list[tuple[int, float, float, float]] = []
    for step in shared:
        values = [curve[step] for curve in baselines]
        rows.append((int(step), losses[step], min(values), max(values)))
    apart = [_apart(loss, least, most) for _, loss, least, most in rows]
    above = [share > tolerance for share in apart]
    below = [share < -tolerance for share in apart]
    return LossBands(
        compared=len(rows),
        above=_departure(rows, above, below, tolerance),
        below=_departure(rows, below, above, tolerance),
        furthest=max(apart, key=abs, default=None),
    )


def _apart(loss: float, least: float, most: float) -> float:
    """By which share a loss lies above the most or below the least (negative); 0 between them."""
    if loss > most:
        return (loss - most) / abs(most) if most else float("inf")
    if loss < least:
        return (loss - least) / abs(least) if least else float("-inf")
    return 0.0


def _departure(
    rows: Sequence[tuple[int, float, float, float]], outside: Sequence[bool], beyond: Sequence[bool], tolerance: float
) -> LossDeparture | None:
    """Of the steps that are `outside`; those `beyond` lie on the other side of the band."""
    if not any(outside):
        return None
    step, loss, least, most = rows[outside.index(True)]
    return LossDeparture(
        count=sum(outside),
        first_step=step,
        loss=loss,
        band=(least - abs(least) * tolerance, most + abs(most) * tolerance),
        left=sum(outside) > MOST_OUTSIDE * len(rows) and sum(outside) > 2 * sum(beyond),
    )

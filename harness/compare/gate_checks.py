"""The verdict on each figure of a run against the runs of a baseline.

A step time has regressed where the whole interval of its difference lies beyond the tolerance, and has passed where the
whole of it lies within. Where it lies on both sides the samples cannot tell, and the verdict says so. Where steps hang
together too long for a test, a run has regressed if nearly all of its steps are slower. The difference is
taken from the slowest run of the baseline; what is told as too good, from the fastest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from harness.compare.baseline_run import BaselineRun
from harness.compare.loss_bands import FEWEST_LOSSES, LossBands, LossDeparture, compare_losses
from harness.compare.step_blocks import STEP_ALPHA, StepDifference, compare_steps
from harness.compare.step_ranges import certain_excess
from harness.units import show_bytes, show_seconds

type GateOutcome = Literal["passed", "regressed", "inconclusive"]


@dataclass(frozen=True, kw_only=True)
class GateCheck:
    """The verdict on one figure. `suspicious` says what is too good to go without a look; None where nothing is.

    `difference` and its `interval` of 95 % are shares of the baseline's value, positive where the run's is larger.
    """

    figure: str
    outcome: GateOutcome
    reason: str
    tolerance: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    suspicious: str | None = None


def check_end(run: BaselineRun) -> GateCheck | None:
    """A run that did not complete has not passed, whatever it measured until then; None for one that did."""
    if run.status == "completed":
        return None
    if run.status == "failed":
        return GateCheck(figure="end", outcome="regressed", reason=f"the run failed: {run.cause or 'cause not known'}")
    return GateCheck(figure="end", outcome="inconclusive", reason=f"the run was {run.status}")


def check_step_time(run: BaselineRun, baselines: Sequence[BaselineRun], tolerance: float) -> GateCheck:
    """Whether the steps are slower than those of the slowest run of the baseline, beyond noise and tolerance."""
    by_speed = sorted(baselines, key=lambda it: median(it.step_s))
    fastest, slowest = (compare_steps(it.step_s, run.step_s) for it in (by_speed[0], by_speed[-1]))
    outcome, told = _judged(slowest, tolerance)
    excess = certain_excess(by_speed[-1].step_s, run.step_s)
    if slowest.difference is None and excess is not None and excess > tolerance:
        outcome = "regressed"
        told = f"19 of 20 steps are slower than 3 of 4 of the baseline's, by {excess:.1%} or more ({told})"
    values = f"{show_seconds(median(run.step_s))}, baseline {_range_s(by_speed)}: " if run.step_s else ""
    return GateCheck(
        figure="step_s",
        outcome=outcome,
        reason=f"{values}{told}",
        tolerance=tolerance,
        difference=slowest.difference,
        interval=slowest.interval,
        suspicious=_too_fast(fastest, tolerance),
    )


def check_memory(run: BaselineRun, baselines: Sequence[BaselineRun], tolerance: float) -> GateCheck | None:
    """Whether the fullest rank needs more than that of the fullest run of the baseline; None where nobody measured."""
    kinds = {it.peak_memory_kind for it in baselines}
    known = [it.peak_memory_bytes for it in baselines if it.peak_memory_bytes is not None]
    own = run.peak_memory_bytes
    if not known and own is None:
        return None
    if own is None or len(known) < len(baselines) or kinds != {run.peak_memory_kind}:
        told = f"measured as {run.peak_memory_kind}, baseline {', '.join(sorted(map(str, kinds)))}"
        return GateCheck(figure="memory", outcome="inconclusive", reason=told, tolerance=tolerance)
    least, most = min(known), max(known)
    difference = own / most - 1
    span = show_bytes(most) if least == most else f"{show_bytes(least)} to {show_bytes(most)}"
    outcome: GateOutcome = "regressed" if difference > tolerance else "passed"
    less = own / least - 1
    return GateCheck(
        figure="memory",
        outcome=outcome,
        reason=f"{show_bytes(own)}, baseline {span}: {difference:+.1%}",
        tolerance=tolerance,
        difference=difference,
        suspicious=f"{-less:.1%} less memory than any run of the baseline" if less < -tolerance else None,
    )


def check_loss(
    run: BaselineRun, baselines: Sequence[BaselineRun], unlike: Sequence[str], tolerance: float
) -> GateCheck:
    """Whether the loss curve stays in the band of the baseline's, step by step.

    `unlike` are the differences in what decides a loss curve; with any of them the curves say nothing of each other.
    """
    if run.nan_steps > max(it.nan_steps for it in baselines):
        told = f"NaN in {_count(run.nan_steps, 'step')}, the first is step {run.first_nan}"
        return GateCheck(figure="loss", outcome="regressed", reason=told, tolerance=tolerance)
    if unlike:
        told = f"curves of unlike runs: {'; '.join(unlike)}; --tolerance loss=off leaves them out"
        return GateCheck(figure="loss", outcome="inconclusive", reason=told, tolerance=tolerance)
    bands = compare_losses([it.losses for it in baselines], run.losses, tolerance)
    if bands.compared < FEWEST_LOSSES:
        told = f"only {_count(bands.compared, 'step')} that all curves have; {FEWEST_LOSSES} are the fewest that tell"
        return GateCheck(figure="loss", outcome="inconclusive", reason=told, tolerance=tolerance)
    above, below = bands.above, bands.below
    left = above is not None and above.left
    return GateCheck(
        figure="loss",
        outcome="regressed" if left else "passed",
        reason=_curve(bands),
        tolerance=tolerance,
        difference=bands.furthest,
        suspicious="the loss has left the band below: see that it learns the same" if below and below.left else None,
    )


def _judged(found: StepDifference, tolerance: float) -> tuple[GateOutcome, str]:
    """The outcome, and the difference in words."""
    if found.difference is None or found.interval is None:
        return "inconclusive", found.method
    low, high = found.interval
    told = f"{found.difference:+.1%} [{low:+.1%}, {high:+.1%}]"
    if high <= tolerance:
        return "passed", told
    if low <= tolerance:
        return "inconclusive", f"{told} lies on both sides of {tolerance * 100:.4g} %"
    if not found.beyond:
        return "inconclusive", f"{told}, but noise may do that: p = {found.p or 1:.2g}, not below {STEP_ALPHA}"
    return "regressed", told


def _too_fast(found: StepDifference, tolerance: float) -> str | None:
    if not found.beyond or found.interval is None or found.difference is None or found.interval[1] >= -tolerance:
        return None
    return f"{-found.difference:.1%} faster than any run of the baseline: see that it computes the same"


def _range_s(by_speed: Sequence[BaselineRun]) -> str:
    least, most = (show_seconds(median(it.step_s)) for it in (by_speed[0], by_speed[-1]))
    return least if len(by_speed) == 1 else f"{least} to {most}"


def _curve(bands: LossBands) -> str:
    sides = ((bands.above, "above"), (bands.below, "below"))
    told = [f"{where} the band {_departed(side, bands)}" for side, where in sides if side]
    text = "; ".join(told) or f"in the band at all {_count(bands.compared, 'step')}"
    return text if bands.furthest is None else f"{text}; furthest {bands.furthest:+.2%}"


def _departed(side: LossDeparture, bands: LossBands) -> str:
    """`at 12 of 160 steps, first at step 40: 3.2100, band 2.9500 to 3.0500`."""
    low, high = side.band
    first = f"first at step {side.first_step}: {side.loss:.4f}, band {low:.4f} to {high:.4f}"
    return f"at {side.count:,} of {_count(bands.compared, 'step')}, {first}"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

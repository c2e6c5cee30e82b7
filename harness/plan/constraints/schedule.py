"""The length of a run and its learning rate: one unit, and rates that can fall."""

import math
from collections.abc import Iterator

from harness.config.releases import Release
from harness.plan.violation import Case, Violation, refused

LENGTHS = {
    "--train-iters": ("--train-samples", "--lr-decay-samples", "--lr-warmup-samples"),
    "--train-samples": ("--lr-decay-iters", "--lr-warmup-iters"),
}
WARMUP = {"--train-iters": "--lr-warmup-iters", "--train-samples": "--lr-warmup-samples"}
DECAY_STYLE, DECAY_ENDS = "--weight-decay-incr-style", ("--start-weight-decay", "--end-weight-decay")
SCHEDULE_OF_EVALUATION = Release(0, 17)  # first release that lets a run without training say what it likes
RAMPUP_BY_ITERATIONS = Release(0, 18)


def units(case: Case) -> Iterator[Violation]:
    """A run is counted in iterations or in samples, and so is its learning rate (validate_args)."""
    if case.args.switch("--skip-train") and case.release >= SCHEDULE_OF_EVALUATION:
        return
    for length, others in LENGTHS.items():
        if not _counted(case, length):
            continue
        refused = [flag for flag in others if _counted(case, flag)]
        if length == "--train-iters" and "--rampup-batch-size" in case.args and case.release < RAMPUP_BY_ITERATIONS:
            refused.append("--rampup-batch-size")
        for flag in refused:
            yield _mixed(length, flag, f"schedules in {length.removeprefix('--train-').replace('iters', 'iterations')}")
        if "--lr-warmup-fraction" in case.args and _counted(case, WARMUP[length]):
            yield _mixed("--lr-warmup-fraction", WARMUP[length], "one of the two")


def _counted(case: Case, flag: str) -> bool:
    """Whether a length is given; 0 is Megatron's own word for none, except for the length of the decay."""
    length = case.args.text(flag)
    return bool(length) and ("decay" in flag or length != "0")


def _mixed(kept: str, flag: str, allowed: str) -> Violation:
    return Violation(
        constraint="units",
        message=f"{kept} with {flag}; allowed: {allowed}",
        fix=f"leave {flag} out",
        names=(flag, kept),
    )


def learning_rate(case: Case) -> Iterator[Violation]:
    """A positive rate, falling to one that is no higher (validate_args, OptimizerParamScheduler)."""
    given, least = case.args.text("--lr"), case.args.text("--min-lr", "0")
    highest, lowest = _rate(given), _rate(least)
    if given and not highest > 0:
        yield Violation(
            constraint="learning-rate",
            message=f"--lr is {given!r}; allowed: finite numbers above 0",
            fix="give --lr a rate such as 3e-4",
            names=("--lr",),
        )
    elif given and not 0 <= lowest <= highest:
        yield Violation(
            constraint="learning-rate",
            message=f"--min-lr {least} with --lr {given}; allowed: from 0 to {given}",
            fix="lower --min-lr, or raise --lr",
            names=("--min-lr", "--lr"),
        )


def weight_decay(case: Case) -> Iterator[Violation]:
    """A decay that changes has a beginning and an end, and one that does not has neither (validate_args)."""
    style, flag = case.args.text(DECAY_STYLE, "constant"), DECAY_STYLE
    given = [end for end in DECAY_ENDS if end in case.args]
    if style == "constant" and given:
        yield refused(
            "weight-decay", f"{flag} constant with {given[0]}", "--weight-decay", f"leave {given[0]} out", flag
        )
    if style != "constant" and len(given) < len(DECAY_ENDS):
        both = " and ".join(DECAY_ENDS)
        yield refused("weight-decay", f"{flag} {style} without {both}", "with both", f"add {both}", flag, *DECAY_ENDS)


def _rate(text: str) -> float:
    """The number, or NaN, which fails every comparison, for what is no finite number."""
    try:
        rate = float(text)
    except ValueError:
        return math.nan
    return rate if math.isfinite(rate) else math.nan

"""Explain why a mapping ranks where it does, or cannot run."""

import re
from collections.abc import Iterator

from harness.cli.plan_request import PlanRequest
from harness.config.schema import SETTINGS
from harness.errors import ConfigError
from harness.plan.candidate import Candidate
from harness.plan.search import leanest, search
from harness.plan.space.settings import AXES
from harness.plan.space.space import Space
from harness.report.text.prediction import show_candidates, show_difference, show_room
from harness.units import show_bytes, show_seconds


def show_why(asked: PlanRequest, space: Space, mapping: str) -> str:
    """Say where the best of such mappings ranks and what it loses to the winner, or why none of them can run."""
    sizes = _sizes(mapping)
    try:
        narrow = asked.narrowed(sizes).space()
    except ConfigError as error:
        return "\n".join([f"{mapping} cannot run:", *error.problems])
    found = search(narrow, keep=1)
    if not found.best:
        return _no_room(mapping, narrow)
    best = found.best[0]
    ranked = search(space, keep=found.counts.grids + len(list(space.grids())), until_s=best.step_time.total_s).best
    ahead = [one for one in ranked if one.step_time.total_s < best.step_time.total_s]
    return "\n\n".join([_place(mapping, best, ahead), show_candidates([best]), *_beside(best, ahead)])


def _sizes(mapping: str) -> dict[str, str]:
    """`TP=8,PP=4` as settings; ConfigError for what is none of a search's."""
    sizes: dict[str, str] = {}
    problems: list[str] = []
    for size in re.split(r"[,\s]+", mapping.strip()):
        name, equals, value = size.partition("=")
        if not equals or name not in AXES:
            problems.append(f"--why {size!r} is none of {', '.join(f'{axis}=…' for axis in AXES)}")
            continue
        if name in sizes:
            problems.append(f"--why {name} is given twice: {name}={sizes[name]} and {size}; keep one of them")
        if mistake := SETTINGS[name].mistake(value):
            problems.append(f"--why {mistake}")
        elif SETTINGS[name].parse(value) is None:
            problems.append(f"--why {size}: no value; leave {name} out, or give it one")
        sizes[name] = value
    if problems:
        raise ConfigError(problems)
    return sizes


def _place(mapping: str, best: Candidate, ahead: list[Candidate]) -> str:
    if not ahead:
        return f"{mapping} is the best there is: {show_seconds(best.step_time.total_s)} a step"
    slower = best.step_time.total_s / ahead[0].step_time.total_s - 1
    others = "1 other grid is" if len(ahead) == 1 else f"{len(ahead)} other grids are"
    return f"{mapping}: {others} faster; its best is {slower:.1%} slower than the winner"


def _beside(best: Candidate, ahead: list[Candidate]) -> Iterator[str]:
    if ahead:
        yield f"beside the winner, {show_difference(best, ahead[0])}"
    if best.memory_bound:
        yield "faster ways to run it do not fit in memory"


def _no_room(mapping: str, narrow: Space) -> str:
    """Say how much memory the leanest candidate would need."""
    least = leanest(narrow)
    if least is None:
        return f"{mapping} cannot run: no number of micro-batches comes out whole with GBS={narrow.batch.global_}"
    over = least.peak.total_bytes - narrow.gpu.hbm_bytes
    return (
        f"{mapping} does not fit: its leanest way to run needs {show_bytes(over)} more than there is\n"
        f"{show_room(least)}\n\n{show_candidates([least])}"
    )

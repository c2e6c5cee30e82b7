"""By how much a run may be worse than its baseline: `step_s=5%,loss=1%`."""

import re
from collections.abc import Mapping
from typing import Literal, get_args

from harness.errors import ConfigError, nearest

type GatedFigure = Literal["step_s", "memory", "loss"]

FIGURES: tuple[GatedFigure, ...] = get_args(GatedFigure.__value__)

DEFAULT_TOLERANCES: Mapping[GatedFigure, float | None] = {"step_s": 0.05, "memory": 0.1, "loss": 0.01}
"""Shares of the baseline's value; None leaves a figure out."""

_SHARE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*%")


def parse_tolerances(text: str | None) -> dict[GatedFigure, float | None]:
    """The default tolerances, but for those that are written. ConfigError with every mistake."""
    found = dict(DEFAULT_TOLERANCES)
    written: set[str] = set()
    problems: list[str] = []
    for part in text.split(",") if text is not None else ():
        name, _, value = (word.strip() for word in part.partition("="))
        figure = next((it for it in FIGURES if it == name), None)
        if figure is None:
            problems.append(f"--tolerance {part.strip() or '(nothing)'}: no such figure; {nearest(name, FIGURES)}")
        elif name in written:
            problems.append(f"--tolerance {name}: written twice")
        elif value == "off":
            found[figure] = None
        elif match := _SHARE.fullmatch(value):
            found[figure] = float(match[1]) / 100
        else:
            problems.append(f"--tolerance {name}={value}: write a share as 5%, or off to leave {name} out")
        written.add(name)
    if not problems and not any(value is not None for value in found.values()):
        problems.append("--tolerance: all figures are off, so that nothing is left to gate")
    if problems:
        raise ConfigError(problems)
    return found

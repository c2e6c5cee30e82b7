"""A sweep's words as points: `EP=2,4 MBS=1,2` → `EP=2 MBS=1`, `EP=2 MBS=2`, `EP=4 MBS=1`, `EP=4 MBS=2`."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from harness.config.roots import NAMED_BY, Roots
from harness.config.schema import SETTINGS
from harness.errors import ConfigError

MOST_POINTS = 1000
"""More are a slip of the keyboard rather than an experiment."""

_KINDS = ("int", "number", "switch", "time", "version")
_TEXTS = ("MODEL", "CLUSTER", "PROXY", "DATASET", "MCORE_RELEASE_VERSION", "GPU", "LR", "LR_FROM_CHECKPOINT")
"""Texts of which no value holds a comma."""

_RANGE = re.compile(r"\d(-|:|\.\.)\d")
_IF_A_RANGE = "; several values have commas between them: 2,4,8"


@dataclass(frozen=True, kw_only=True)
class PointSettings:
    """The settings of one job of a sweep: the value of every typed name, and the names that the sweep varies."""

    settings: Mapping[str, str]
    swept: tuple[str, ...]

    @property
    def name(self) -> str:
        """`EP=4 MBS=2`: what it differs in from the others; all that was typed where there are no others."""
        return " ".join(f"{name}={self.settings[name]}" for name in self.swept or self.settings)

    @property
    def values(self) -> dict[str, str]:
        """The value of each name that the sweep varies."""
        return {name: self.settings[name] for name in self.swept}

    @property
    def arguments(self) -> list[str]:
        """What one would type to launch it."""
        return [f"{name}={value}" for name, value in self.settings.items()]


def is_list(name: str) -> bool:
    """Whether commas part a setting's values in a sweep: of numbers, switches, choices and names, but not of texts.

    A text of the user's (CONTAINER_MOUNTS, SBATCH_ARGS, PP_LAYOUT, …), a path or an environment variable may itself
    hold commas.
    """
    setting = SETTINGS.get(name)
    return setting is not None and (name in _TEXTS or bool(setting.choices) or setting.kind in _KINDS)


def points_of(
    typed: Mapping[str, str], *, zipped: bool, resolve: Callable[[Sequence[str]], object]
) -> tuple[PointSettings, ...]:
    """Expand what was typed into points. ConfigError holds every mistake, unknown names and files included.

    `resolve` resolves `KEY=VALUE` words: only it knows the variables that files declare.
    """
    points: tuple[PointSettings, ...] = ()
    problems = _missing_files(typed)
    try:
        points = expand(typed, zipped=zipped)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError([*problems, *_unknown_names(typed, resolve)])
    return points


def expand(typed: Mapping[str, str], *, zipped: bool = False) -> tuple[PointSettings, ...]:
    """The points in the written order: every combination, the last name varying fastest; `zipped`, pair by pair.

    Points that come out twice are one. ConfigError holds every mistake in the values.
    """
    values = {name: _values(name, text) for name, text in typed.items()}
    problems = [problem for name, found in values.items() for problem in _mistakes(name, found)]
    problems += _unequal(values) if zipped else ()
    count = max(map(len, values.values()), default=1) if zipped else math.prod(map(len, values.values()))
    if count > MOST_POINTS:
        problems.append(f"these are {count:,} points, and a sweep has {MOST_POINTS:,} at most; sweep fewer values")
    if problems:
        raise ConfigError(problems)
    canonical = {name: [_canonical(name, value) for value in found] for name, found in values.items()}
    swept = tuple(name for name, found in canonical.items() if len(set(found)) > 1)
    rows = _pairs(canonical, count) if zipped else product(*canonical.values())
    return tuple(PointSettings(settings=dict(zip(typed, row, strict=True)), swept=swept) for row in dict.fromkeys(rows))


def _missing_files(typed: Mapping[str, str]) -> list[str]:
    """Names in lists that no file has: a slip of the keyboard is no point to be passed over."""
    roots = Roots.standard()
    problems: list[str] = []
    for name, kind in NAMED_BY.items():
        values = [value for value in typed.get(name, "").split(",") if value and (name, value) != ("PROXY", "none")]
        for value in values if "," in typed.get(name, "") else ():
            try:
                roots.find(kind, value.strip(), setting=name)
            except ConfigError as error:
                problems += error.problems
    return problems


def _unknown_names(typed: Mapping[str, str], resolve: Callable[[Sequence[str]], object]) -> list[str]:
    """What resolving one of the models says of names that are no settings."""
    unknown = [f"{name}={value}" for name, value in typed.items() if name not in SETTINGS]
    models = [model for model in typed.get("MODEL", "").split(",") if model in Roots.standard().names("model")]
    if not unknown or not models:
        return []
    try:
        resolve([f"MODEL={models[0]}", *unknown])
    except ConfigError as error:
        return [problem for problem in error.problems if "unknown setting" in problem or "secret" in problem]
    return []


def _values(name: str, text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if is_list(name) and "," in text else [text]


def _mistakes(name: str, values: Sequence[str]) -> Iterator[str]:
    """What is wrong with the values of one name, as `launch` would say it of each."""
    if not is_list(name):
        return
    if "" in values and len(values) > 1:
        yield f"command line: {name}={','.join(values)}: a value is missing between commas; write it or drop a comma"
    for value in dict.fromkeys(filter(None, values)):
        if mistake := SETTINGS[name].mistake(value):
            yield f"command line: {mistake}{_IF_A_RANGE if _RANGE.search(value) else ''}"


def _unequal(values: Mapping[str, Sequence[str]]) -> list[str]:
    lists = {name: found for name, found in values.items() if len(found) > 1}
    if len({len(found) for found in lists.values()}) < 2:
        return []
    lengths = ", ".join(f"{name} has {len(found)} ({','.join(found)})" for name, found in lists.items())
    return [f"--zip pairs the values one by one, but {lengths}; make the lists equally long, or use --grid"]


def _canonical(name: str, text: str) -> str:
    """`02` → `2`, `true` → `1`: one text for one value, so that a point is known again however it was typed."""
    if not text or not is_list(name):
        return text
    value = SETTINGS[name].parse(text)
    return str(int(value)) if isinstance(value, bool | int) else text


def _pairs(values: Mapping[str, Sequence[str]], count: int) -> Iterator[tuple[str, ...]]:
    for at in range(count):
        yield tuple(found[at] if len(found) > 1 else found[0] for found in values.values())

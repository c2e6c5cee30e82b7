"""Reading config.json: what is missing, absurd or beyond Megatron is collected, and reported at once."""

from collections.abc import Mapping
from typing import TypeGuard

from harness.errors import ConfigError

_MOST = dict.fromkeys(("num_local_experts", "n_routed_experts", "num_experts"), 100_000) | dict.fromkeys(
    ("num_hidden_layers", "num_nextn_predict_layers"), 10_000
)
"""No model has a larger count, and its tensors could not even be listed."""


class ConfigFile:
    """The keys of a config.json, and the problems found so far.

    A key that is absent or null has its default; without a default that is a problem, and the value read is 1.
    """

    def __init__(self, values: Mapping[str, object], where: str) -> None:
        self.values = values
        self._where = where  # also what stands before each key, inside an object of the file
        self._problems: list[str] = []

    def whole(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        """A whole number not below `least`."""
        value = self._value(key, default)
        if value is None:
            return 1
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST.get(key, 2**31):
            return value
        self.problem(f"{key} is {value!r:.40}; allowed: a whole number, {least} or more")
        return 1

    def number(self, key: str, default: float | None = None) -> float:
        """A number above 0."""
        value = self._value(key, default)
        if value is None:
            return 1.0
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e300:
            return value
        self.problem(f"{key} is {value!r:.40}; allowed: a number above 0")
        return 1.0

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._value(key, default)
        if isinstance(value, bool):
            return value
        self.problem(f"{key} is {value!r}; allowed: true or false")
        return default

    def must_be(self, key: str, allowed: object, why: str) -> None:
        """A key that is there may only have the value that Megatron can follow. Null is absent, or else false."""
        found = self.values.get(key)
        if found != allowed and (found is not None or (allowed is True and key in self.values)):
            self.problem(f"{key} is {found!r}; {why}; allowed: {_shown(allowed)}")

    def must_divide(self, divisor: str, dividend: str) -> None:
        """One whole number has to divide another; reported only where both are sound by themselves."""
        small, large = self.values.get(divisor), self.values.get(dividend)
        if _is_count(small) and _is_count(large) and large % small:
            self.problem(f"{divisor} {small} does not divide {dividend} {large}")

    def must_not_exceed(self, key: str, limit: str) -> None:
        """One whole number may not be larger than another; reported only where both are sound by themselves."""
        value, most = self.values.get(key), self.values.get(limit)
        if _is_count(value) and _is_count(most) and value > most:
            self.problem(f"{key} {value} is larger than {limit} {most}")

    def inside(self, key: str) -> "ConfigFile":
        """The object under `key`, empty where there is none; its problems are reported together with these."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, Mapping):
            self.problem(f"{key} is {value!r}; allowed: an object, or null")
        part = ConfigFile(value if isinstance(value, Mapping) else {}, f"{self._where}: {key}")
        part._problems = self._problems
        return part

    def problem(self, text: str) -> None:
        """Record a problem."""
        self._problems.append(f"{self._where}: {text}")

    def finish(self) -> None:
        """Raise ConfigError with all problems, if there are any."""
        if self._problems:
            raise ConfigError(tuple(dict.fromkeys(self._problems)))

    def _value(self, key: str, default: object) -> object:
        value = self.values.get(key)
        if value is None:
            value = default
        if value is None:
            self.problem(f"{key} is missing")
        return value


def _is_count(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _shown(value: object) -> str:
    """A value as JSON writes it."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)

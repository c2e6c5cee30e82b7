"""`${NAME}` in configuration files."""

import re
from collections.abc import Callable, Mapping

from harness.config.megatron_args import ArgValue
from harness.config.secrets import is_secret

_VARIABLE = re.compile(r"\$\{(\w+)\}")
AT_LAUNCH = frozenset({"RUN_DIR"})  # known only once a run has its folder; launch fills it in


class Unset(Exception):
    """A `${NAME}` whose name has no value."""


def interpolate(text: str, lookup: Callable[[str], str | None]) -> str:
    """Replace each `${NAME}`; other dollars stay as written. Raises `Unset`."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in AT_LAUNCH:
            return match[0]
        if is_secret(name):
            raise Unset(f"${{{name}}} is a secret; the job reads it from its environment")
        found = lookup(name)
        if found is None:
            raise Unset(f"${{{name}}} has no value; set {name}")
        return found

    return _VARIABLE.sub(value, text)


def interpolate_value(value: ArgValue, lookup: Callable[[str], str | None]) -> ArgValue:
    """`interpolate` over a flag's value, whatever its shape."""
    if isinstance(value, bool):
        return value
    if isinstance(value, tuple):
        return tuple(interpolate(item, lookup) for item in value)
    return interpolate(value, lookup)


class Variables:
    """Looks names up in raw texts that may refer to each other; a circle has no value."""

    def __init__(self, raw: Mapping[str, tuple[str, bool]], environ: Mapping[str, str]) -> None:
        self._raw = raw  # name → (text, whether `${}` in it counts: files yes, the user's own words no)
        self._environ = environ
        self._open: set[str] = set()

    def __call__(self, name: str) -> str | None:
        if name not in self._raw:
            return self._environ.get(name)
        text, expands = self._raw[name]
        if not expands:
            return text
        if name in self._open:
            raise Unset(f"${{{name}}} refers to itself")
        self._open.add(name)
        try:
            return interpolate(text, self)
        finally:
            self._open.discard(name)

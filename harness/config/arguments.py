"""The `KEY=VALUE` arguments of a command line."""

from collections.abc import Mapping, Sequence

from harness.config.schema import SETTINGS
from harness.config.secrets import SECRETS
from harness.errors import ConfigError, nearest


def parse_arguments(arguments: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` arguments by key; ConfigError for any of another form, and for a key given twice."""
    typed: dict[str, str] = {}
    problems = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not (name and equals):
            problems.append(f"command line: {argument!r} is not KEY=VALUE; Megatron's flags go after --")
        elif name in typed:
            problems.append(
                f"command line: {name} is given twice: {name}={typed[name]} and {argument}; keep one of them"
            )
        typed[name] = value
    if problems:
        raise ConfigError(problems)
    return typed


def argument_problems(typed: Mapping[str, str], declared: set[str]) -> list[str]:
    """Mistakes in arguments that no file could mend: names that nothing knows, values that no setting takes.

    `declared` are the variables of the job's environment that one may set.
    """
    unknown = [_unknown(name, declared) for name in typed if name not in SETTINGS and name not in declared]
    values = (SETTINGS[name].mistake(value) for name, value in typed.items() if name in SETTINGS and "$" not in value)
    return [*unknown, *(f"command line: {it}" for it in values if it)]


def _unknown(name: str, declared: set[str]) -> str:
    if name in SECRETS:
        return f"command line: {name} is a secret, and others can read a command line; export {name} instead"
    return f"command line: unknown setting {name}; {nearest(name, {*SETTINGS, *declared})}"

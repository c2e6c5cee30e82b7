"""The words of `eval` as people type them, in the form that its options have.

Scripts for evaluation differ in spelling: `--checkpoint_dir`, `--tasks a b c`, `SEED=5`. All of them say the same.
"""

from collections.abc import Callable, Sequence

import click

from harness.disk import expanded
from harness.errors import ConfigError

NAMES = {
    "CHECKPOINT_DIR": "--checkpoint-dir",
    "CONFIG_FILE": "--config-file",
    "OUTPUT_DIR": "--output-dir",
    "SEED": "--seed",
    "NGPU": "--ngpu",
    "SKIP_LM_EVAL": "--skip-lm-eval",
}
"""Environment names that users of such scripts have, which may be typed as KEY=VALUE too, and their options."""

_ALIASES = {
    "--lm-eval-tasks": "--tasks",
    "--checkpoint-path": "--checkpoint-dir",
    "--val-npy": "--val-data",
    "--val-file": "--val-data",
}
_SETTINGS = {"--tokenizer-name": "TOKENIZER_MODEL"}
_SKIP = "--skip-lm-eval"
_LISTS = ("--tasks", "--val-data")
_SWITCHES = {"--no-amp": "PR=fp32"}
_IGNORED = ("--data-mode",)
"""What files hold is seen from their names."""


def is_setting(word: str) -> bool:
    """Whether a word is KEY=VALUE; a path may hold a sign too."""
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier() and name.isupper()


def normalised(words: Sequence[str], notice: Callable[[str], None]) -> list[str]:
    """The words with options spelt as `eval` has them; `notice` takes what is worth saying of it."""
    found: list[str] = []
    rest = list(words)
    while rest:
        name, equals, value = _option(rest.pop(0))
        if name == _SKIP and equals:
            found += [_SKIP] if _is_on(value) else []
        elif name in _SWITCHES:
            notice(f"{name} is {_SWITCHES[name]}")
            found.append(_SWITCHES[name])
        elif name in _IGNORED:
            value = value if equals else (rest.pop(0) if rest else "")
            notice(f"{name} {value} says nothing new: what files hold is seen from their names")
        elif name in _SETTINGS:
            value = value if equals else (rest.pop(0) if rest else "")
            found.append(f"{_SETTINGS[name]}={value}")
        elif name in _LISTS:
            values = [value] if equals else []
            while not equals and rest and not _ends_list(rest[0], name, values):
                values.append(rest.pop(0))
            found += [f"{name}={item}" for item in values] or [f"{name}="]
        else:
            found.append(f"{name}={value}" if equals else name)
    return found


def _is_on(value: str) -> bool:
    """Whether a switch typed as KEY=VALUE is on, as click reads it from the environment. ConfigError for no switch."""
    try:
        return bool(click.BOOL.convert(value or "0", None, None))
    except click.BadParameter:
        raise ConfigError(f"SKIP_LM_EVAL={value}: neither yes nor no; allowed: 1, 0") from None


def _option(word: str) -> tuple[str, str, str]:
    """A word's option name, sign and value; a word that is none is a name by itself."""
    name, equals, value = word.partition("=")
    if equals and name in NAMES:
        return NAMES[name], equals, value
    if not word.startswith("--"):
        return word, "", ""
    name = name.replace("_", "-")
    return _ALIASES.get(name, name), equals, value


def _ends_list(word: str, name: str, values: Sequence[str]) -> bool:
    """Whether a word no longer belongs to the list of an option: another option, a setting, or a checkpoint."""
    if word.startswith("-") or is_setting(word):
        return True
    return name == "--tasks" and bool(values) and (("/" in word) or expanded(word).is_dir())

"""What is wrong with a value for an option, as that release's own parser would find it."""

import re
from collections.abc import Callable
from typing import Any

from harness.config.megatron_args import ArgValue
from harness.config.releases.catalogue import Option
from harness.config.releases.layer_pattern import layer_pattern

# What argparse (Python <= 3.13) takes for a negative number rather than for another flag; "-1e-5" is not among them.
_NEGATIVE_NUMBER = re.compile(r"-(\d+|\d*\.\d+)")


def check(option: Option, value: ArgValue) -> str | None:
    """One sentence on why Megatron would refuse the value; None if it takes it.

    False is right for every option: it is written as off and never reaches the command line.
    """
    if value is False or (value is True and option.is_switch):
        return None
    if option.is_switch:
        return f"{option.flag} takes no value; found {_shown(value)}: write true, or false to leave it out"
    words = () if value is True else (value,) if isinstance(value, str) else value
    wrong_words = (problem for word in words if (problem := _wrong_word(option, word)))
    return _wrong_count(option, len(words)) or next(wrong_words, None)


def _wrong_count(option: Option, count: int) -> str | None:
    """Whether there are too few or too many words for the option's nargs."""
    match option.nargs:
        case "*":
            return None
        case "?":
            return None if count <= 1 else f"{option.flag} takes at most one value; found {count}"
        case "+":
            return None if count else f"{option.flag} needs at least one value"
        case int(expected):
            return None if count == expected else f"{option.flag} needs exactly {expected} values; found {count}"
    if count == 0:
        return f"{option.flag} needs a value"
    return None if count == 1 else f"{option.flag} takes one value; found {count}"


def _wrong_word(option: Option, word: str) -> str | None:
    """Whether one word is of the wrong type or not among the choices."""
    if len(word) > 1 and word.startswith("-") and " " not in word and not _NEGATIVE_NUMBER.fullmatch(word):
        return f"{option.flag}: Megatron's parser takes {word!r} for another flag, not for a value"
    convert, expected = _TYPES.get(option.type or "str", (str, "text"))
    try:
        converted = convert(word)
    except ValueError:
        return f"{option.flag} takes {expected}; found {word!r}"
    return _wrong_choice(option, str(converted))


def _wrong_choice(option: Option, word: str) -> str | None:
    """Whether a word of the right type is none of the choices."""
    if not option.choices:
        return None
    names = tuple(choice.rpartition(".")[2] for choice in option.choices) if _is_enum(option) else option.choices
    if _is_enum(option) and all(name.isdigit() for name in names):
        # Signals print as their numbers, but the parser looks them up by name.
        return None if word.startswith("SIG") else f"{option.flag} takes a name such as SIGTERM; found {word!r}"
    if word in names:
        return None
    return f"{option.flag} takes one of {', '.join(names)}; found {word!r}"


def _is_enum(option: Option) -> bool:
    """Whether choices are members of an enum, which the parser's own type function looks up by name."""
    return option.type not in {None, "str", "int", "float"}


def _truth(word: str) -> bool:
    """True; a word that looks like anything else is refused, because `bool("False")` is True."""
    if word.lower() in {"true", "1", "yes"}:
        return True
    raise ValueError(word)


def _whole_numbers(word: str) -> tuple[int, ...]:
    """`128,0` or `(128,0)`."""
    return tuple(int(part) for part in word.strip("()").split(","))


def _shown(value: ArgValue) -> str:
    """A value as the user wrote it."""
    return repr(" ".join(value) if isinstance(value, tuple) else value)


_PATTERN = "a whole number or a list such as ([0]*1+[1]*26), without spaces"
_TYPES: dict[str, tuple[Callable[[str], Any], str]] = {
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "bool": (_truth, "only true (the parser reads any other text as true, too: leave the flag out instead)"),
    "tuple_type": (_whole_numbers, "whole numbers between commas, such as 128,0"),
    "moe_freq_type": (layer_pattern, _PATTERN),
    "la_freq_type": (layer_pattern, _PATTERN),
    "no_rope_freq_type": (layer_pattern, _PATTERN),
}

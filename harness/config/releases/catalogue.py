"""The options of one Megatron release, read from the JSON file beside this module."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from harness.config.release import Release
from harness.errors import ConfigError, nearest

_FOLDER = Path(__file__).parent
_SWITCH_ACTIONS = frozenset({"store_true", "store_false", "boolean_optional"})


class Option(NamedTuple):
    """One command-line option as argparse holds it.

    `type` is the name of the parser's type function (`int`, `moe_freq_type`, …). `default` is None where the
    release's own default is None, False or 0: the catalogues leave those out.
    """

    flag: str
    dest: str
    action: str
    type: str | None = None
    nargs: str | int | None = None
    choices: tuple[str, ...] = ()
    default: Any = None

    @property
    def is_switch(self) -> bool:
        """Whether the option takes no value."""
        return self.action in _SWITCH_ACTIONS

    @property
    def takes_list(self) -> bool:
        """Whether the option takes several words."""
        return self.nargs is not None and self.nargs != "?"


class Catalogue(NamedTuple):
    """Every option of one release, by flag. `version` is the one that was looked at, with its patch: 0.19.2."""

    version: str
    options: Mapping[str, Option]

    @property
    def release(self) -> Release:
        """The release, 0.19 of version 0.19.2."""
        return Release.parse(self.version)

    def option(self, flag: str) -> Option | None:
        """The option of this name; None if the release has none."""
        return self.options.get(flag)

    def nearest(self, flag: str) -> str:
        """The tail of an "unknown flag" message."""
        return nearest(flag, self.options)


class _Options(Mapping[str, Option]):
    """The options of a JSON file, each made when it is asked for: of the many that there are, a job has a few."""

    def __init__(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        self._entries = entries
        self._made: dict[str, Option] = {}

    def __getitem__(self, flag: str) -> Option:
        if flag not in self._made:
            self._made[flag] = _option(flag, self._entries[flag])
        return self._made[flag]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


@lru_cache
def known() -> tuple[Release, ...]:
    """The releases there is a catalogue for, oldest first: 0.11, 0.12, …"""
    return tuple(sorted(Release.parse(path.stem) for path in _FOLDER.glob("*.json")))


def load(release: Release | str) -> Catalogue:
    """The catalogue for a release, or for one as users write it: `0.19`, `0.19.2`, `core_r0.15.0`, `core_v0.16.1`.

    ConfigError for one that has no catalogue.
    """
    try:
        found = Release.parse(str(release))
    except ValueError:
        found = None
    if found not in known():
        raise ConfigError(
            f"Megatron release {str(release)!r}: there is no catalogue of its options; "
            f"known: {', '.join(map(str, known()))}"
        )
    return _read(found)


def releases_with(flag: str) -> tuple[Release, ...]:
    """The releases that have a flag, oldest first."""
    return tuple(release for release in known() if _read(release).option(flag))


def elsewhere(flag: str) -> Option | None:
    """A flag's option in the newest release that has it: for flags that the release at hand lacks."""
    return next((option for release in reversed(known()) if (option := _read(release).option(flag))), None)


def parse(text: str) -> Catalogue:
    """A catalogue from its JSON text, as shipped or as `releases dump` prints it."""
    content = json.loads(text)
    return Catalogue(version=content["release"], options=_Options(content["options"]))


@lru_cache
def _read(release: Release) -> Catalogue:
    """The shipped catalogue of one release."""
    return parse((_FOLDER / f"{release}.json").read_text(encoding="utf-8"))


def _option(flag: str, entry: Mapping[str, Any]) -> Option:
    """One JSON entry as an `Option`."""
    return Option(
        flag=flag,
        dest=entry["dest"],
        action=entry["action"],
        type=entry.get("type"),
        nargs=entry.get("nargs"),
        choices=tuple(entry.get("choices", ())),
        default=entry.get("default"),
    )

"""The configuration while rules still work on it."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.config.flags import FlagTable
from harness.config.megatron_args import ArgValue
from harness.config.provenance import Entry, History, Origin, SettingValue, SettingValues
from harness.config.releases import Release


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A rule's word: this Megatron flag, unless the user wrote one of the same meaning."""

    flag: str
    value: ArgValue = True


@dataclass(frozen=True, kw_only=True)
class Env:
    """A rule's word: this environment variable for the job, unless the user wrote it."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A rule's word on a setting that follows from others."""

    name: str
    value: SettingValue


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something the user should read; nothing is wrong."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that cannot be; all of them are shown together."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """Something that would train something else than asked: `resolve` shows it, `check` and `launch` refuse it."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Replace:
    """A rule's word on a flag that must not stay as it was written; `explain` shows what it replaced."""

    flag: str
    value: ArgValue


@dataclass(frozen=True, kw_only=True)
class Drop:
    """A rule's word on a flag that cannot stay, and why."""

    flag: str
    why: str


type Word = Flag | Env | Derived | Replace | Drop | Notice | Problem | Blocker


@dataclass(kw_only=True)
class Draft(SettingValues):
    """Settings, flags and environment in the making, with every history.

    `release` is Megatron-Core's, `te` Transformer Engine's; 0.0 if it is not known.
    """

    settings: dict[str, SettingValue]
    setting_origins: dict[str, History]
    release: Release
    te: Release
    has_secret: frozenset[str]
    flags: FlagTable
    here: str
    home: str
    gpus: int = 0
    env: dict[str, str] = field(default_factory=dict)
    env_origins: dict[str, History] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    blockers: list[str] = field(default_factory=list)

    def layer_rank(self, name: str, order: Sequence[str]) -> int:
        """How high the layer is that last wrote a setting; -1 if only rules or nobody did."""
        written = [entry.origin.layer for entry in self.setting_origins.get(name, ()) if entry.origin.layer in order]
        return order.index(written[-1]) if written else -1

    def absolute(self, path: str) -> str:
        """A path from the folder that relative paths start from: ranks and containers start from others."""
        if path == "~" or path.startswith("~/"):
            path = self.home + path[1:]
        return posixpath.normpath(posixpath.join(self.here, path))

    def origin(self, name: str) -> str:
        """Where a setting's value was written."""
        history = self.setting_origins.get(name)
        return str(history[-1].origin) if history else "built-in default"

    def say(self, rule: str, word: Word) -> None:
        """Take a rule's word. What the user wrote stands; where the two disagree a notice says so."""
        origin = Origin(layer=f"rule {rule}")
        match word:
            case Notice():
                self.notices.append(word.text)
            case Problem():
                self.problems.append(word.text)
            case Blocker():
                self.blockers.append(word.text)
            case Replace():
                self.flags.put(word.flag, Entry(value=word.value, origin=origin))
            case Drop():
                self.flags.drop(word.flag)
                self.notices.append(word.why)
            case Derived():
                self.settings[word.name] = word.value
                entry = Entry(value=word.value, origin=origin)
                self.setting_origins[word.name] = (*self.setting_origins.get(word.name, ()), entry)
            case Env():
                if word.name not in self.env:
                    self.env[word.name] = word.value
                    self.env_origins[word.name] = (Entry(value=word.value, origin=origin),)
            case Flag():
                self._say_flag(rule, word, origin)

    def _say_flag(self, rule: str, word: Flag, origin: Origin) -> None:
        written = self.flags.entry(word.flag)
        if written is None:
            self.flags.put(word.flag, Entry(value=word.value, origin=origin))
            return
        name = self.flags.name_of(word.flag) or word.flag
        if (name, written.value) != (word.flag, word.value):
            kept = f"{name} {_shown(written.value)} ({written.origin})"
            self.notices.append(f"rule {rule} would say {word.flag} {_shown(word.value)}; kept {kept}")


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(value)
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def shown_settings(draft: Draft, names: Sequence[str]) -> str:
    """`PP_FIRST=4 PP_LAST=1`, for messages."""
    return " ".join(f"{name}={draft.text(name)}" for name in names if draft.text(name))


def as_texts(settings: Mapping[str, SettingValue]) -> dict[str, str]:
    """Settings as `${NAME}` shows them; switches as true and false."""
    return {
        name: {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
        for name, value in settings.items()
        if value is not None
    }

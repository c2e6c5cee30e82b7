"""The configuration while rules still work on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.config.directives import Blocker, Derived, Directive, Drop, Env, Flag, Notice, Problem, Replace
from harness.config.flags import FlagTable
from harness.config.provenance import Entry, History, Origin, SettingValue, SettingValues
from harness.config.releases import Release
from harness.config.setting_flags import FLAG_OF_SETTING
from harness.config.settings import absolute


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

    def carrier(self, name: str) -> Flag:
        """The flag that carries a setting, with the setting's value."""
        return Flag(flag=FLAG_OF_SETTING[name], value=self.text(name))

    def layer_rank(self, name: str, order: Sequence[str]) -> int:
        """How high the layer is that last wrote a setting; -1 if only rules or nobody did."""
        written = [entry.origin.layer for entry in self.setting_origins.get(name, ()) if entry.origin.layer in order]
        return order.index(written[-1]) if written else -1

    def absolute(self, path: str) -> str:
        """A path from the folder that relative paths start from: ranks and containers start from others."""
        return absolute(path, here=self.here, home=self.home)

    def origin(self, name: str) -> str:
        """Where a setting's value was written."""
        history = self.setting_origins.get(name)
        return str(history[-1].origin) if history else "built-in default"

    def apply(self, rule: str, directive: Directive) -> None:
        """Apply what a rule of this name yields. What the user wrote stands; a notice says where the two disagree."""
        origin = Origin(layer=f"rule {rule}")
        match directive:
            case Notice():
                self.notices.append(directive.text)
            case Problem():
                self.problems.append(directive.text)
            case Blocker():
                self.blockers.append(directive.text)
            case Replace():
                self.flags.put(directive.flag, Entry(value=directive.value, origin=origin))
            case Drop():
                self.flags.drop(directive.flag)
                self.notices.append(directive.why)
            case Derived():
                self.settings[directive.name] = directive.value
                entry = Entry(value=directive.value, origin=origin)
                self.setting_origins[directive.name] = (*self.setting_origins.get(directive.name, ()), entry)
            case Env():
                if directive.name not in self.env:
                    self.env[directive.name] = directive.value
                    self.env_origins[directive.name] = (Entry(value=directive.value, origin=origin),)
            case Flag():
                self._apply_flag(rule, directive, origin)

    def _apply_flag(self, rule: str, asked: Flag, origin: Origin) -> None:
        written = self.flags.entry(asked.flag)
        if written is None:
            self.flags.put(asked.flag, Entry(value=asked.value, origin=origin))
            return
        name = self.flags.name_of(asked.flag) or asked.flag
        if (name, written.value) != (asked.flag, asked.value):
            kept = f"{name} {_shown(written.value)} ({written.origin})"
            self.notices.append(f"rule {rule} would say {asked.flag} {_shown(asked.value)}; kept {kept}")


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(value)
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def shown_settings(draft: Draft, names: Sequence[str]) -> str:
    """`PP_FIRST=4 PP_LAST=1`, for messages."""
    return " ".join(f"{name}={draft.text(name)}" for name in names if draft.text(name))

"""Where a value came from, and every value that lost to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.release import Release
from harness.errors import ConfigError

type SettingValue = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The layer that wrote a value, and the file and line if a file did."""

    layer: str
    path: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        if self.path is None:
            return self.layer
        return self.path if self.line is None else f"{self.path}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one layer wrote for one name."""

    value: SettingValue | ArgValue
    origin: Origin


type History = tuple[Entry, ...]  # lowest layer first, the winner last


class SettingValues:
    """The values of settings, read by type."""

    settings: Mapping[str, SettingValue]

    @property
    def embedded(self) -> bool:
        """Whether the embedded engine trains, without Transformer Engine, rather than the Megatron of MEGATRON_PATH."""
        return not self.text("MEGATRON_PATH")

    def has(self, name: str) -> bool:
        """Whether a setting is set."""
        return self.settings.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """A setting as text; `default` if unset."""
        value = self.settings.get(name)
        return default if value is None else str(value)

    def integer(self, name: str, default: int = 0) -> int:
        """A whole-number setting; `default` if unset."""
        value = self.settings.get(name)
        return default if value is None else int(value)

    def number(self, name: str, default: float = 0.0) -> float:
        """A setting that is a number; `default` if unset."""
        value = self.settings.get(name)
        return default if value is None else float(value)

    def switch(self, name: str) -> bool:
        """A yes/no setting; False if unset."""
        return bool(self.settings.get(name))


@dataclass(frozen=True, kw_only=True)
class Resolved(SettingValues):
    """What all layers and rules come to: the input of everything after `config`.

    `origins` maps a setting (`EP`), a flag (`--num-experts`) or an environment name to its history. `blockers` say why
    the flags, right as they are for their release, would train something else than asked: `check` refuses them.
    """

    settings: Mapping[str, SettingValue]
    megatron_args: MegatronArgs
    env: Mapping[str, str]
    origins: Mapping[str, History] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    blockers: tuple[str, ...] = ()

    @property
    def release(self) -> Release:
        """The Megatron-Core release that will parse the flags."""
        return self._release("MCORE_RELEASE_VERSION")

    @property
    def transformer_engine(self) -> Release | None:
        """Transformer Engine's release in the container, if it is known."""
        return self._release("TE_VERSION") if self.text("TE_VERSION") else None

    def _release(self, name: str) -> Release:
        """ConfigError where a record holds none: only what a user sets is checked when it is read."""
        try:
            return Release.parse(self.text(name))
        except ValueError as error:
            raise ConfigError(f"{self.at(name)}{name}: {error}") from None

    def origin(self, name: str) -> Origin | None:
        """Who wrote the winning value of a setting, flag or environment name."""
        history = self.origins.get(name)
        return history[-1].origin if history else None

    def at(self, name: str) -> str:
        """Where that was, as the beginning of a message about it: `path:line: `; nothing if it is not known."""
        origin = self.origin(name)
        return f"{origin}: " if origin else ""

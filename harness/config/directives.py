"""What a rule can tell a draft to do, or to tell the user."""

from dataclasses import dataclass

from harness.config.megatron_args import ArgValue
from harness.config.provenance import SettingValue


@dataclass(frozen=True, kw_only=True)
class Flag:
    """Set a Megatron flag, unless the user wrote one of the same meaning."""

    flag: str
    value: ArgValue = True


@dataclass(frozen=True, kw_only=True)
class Env:
    """Set an environment variable of the job, unless the user wrote it."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Derived:
    """Set a setting that follows from others."""

    name: str
    value: SettingValue


@dataclass(frozen=True, kw_only=True)
class Replace:
    """Replace the value of a flag that must not stay as it was written; `explain` shows what it replaced."""

    flag: str
    value: ArgValue


@dataclass(frozen=True, kw_only=True)
class Drop:
    """Drop a flag that cannot stay, and tell why."""

    flag: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Tell the user something; nothing is wrong."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Refuse what cannot be; all problems are shown together."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """Show in `resolve`, and refuse in `check` and `launch`, what would train something else than was asked."""

    text: str


type Directive = Flag | Env | Derived | Replace | Drop | Notice | Problem | Blocker

"""The directives that rules yield: changes to a draft, and messages to the user."""

from typing import NamedTuple

from harness.config.megatron_args import ArgValue
from harness.config.provenance import SettingValue


class Flag(NamedTuple):
    """Set a Megatron flag, unless the user wrote one of the same meaning."""

    flag: str
    value: ArgValue = True


class Env(NamedTuple):
    """Set an environment variable of the job, unless the user wrote it."""

    name: str
    value: str


class Derived(NamedTuple):
    """Set a setting that follows from others."""

    name: str
    value: SettingValue


class Replace(NamedTuple):
    """Replace the value of a flag that must not stay as it was written; `explain` shows what it replaced."""

    flag: str
    value: ArgValue


class Drop(NamedTuple):
    """Drop a flag that cannot stay, with a notice of the reason."""

    flag: str
    why: str


class Notice(NamedTuple):
    """Show the user a message; nothing is wrong."""

    text: str


class Problem(NamedTuple):
    """Refuse what cannot be; all problems are shown together."""

    text: str


class Blocker(NamedTuple):
    """Show in `resolve`, and refuse in `check` and `launch`, what would train something else than was asked."""

    text: str


type Directive = Flag | Env | Derived | Replace | Drop | Notice | Problem | Blocker

"""The settings that layers write, as typed values. Pure."""

import posixpath
from collections.abc import Collection, Mapping
from functools import cache

from harness.config.interpolate import Unset, Variables
from harness.config.layers import Layer
from harness.config.provenance import Entry, History, Origin, SettingValue
from harness.config.schema import SETTINGS
from harness.config.secrets import SECRETS
from harness.errors import nearest

_PLACEHOLDER = "YOUR_"


@cache
def defaults() -> Layer:
    """The lowest layer: the schema's defaults."""
    origin = Origin(layer="built-in default")
    texts = as_texts({name: setting.default for name, setting in SETTINGS.items()})
    return Layer(settings={name: Entry(value=text, origin=origin) for name, text in texts.items()})


def as_texts(settings: Mapping[str, SettingValue]) -> dict[str, str]:
    """Settings as `${NAME}` shows them; switches as true and false."""
    return {
        name: {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
        for name, value in settings.items()
        if value is not None
    }


def unknown_settings(histories: Mapping[str, History]) -> list[str]:
    """A problem for each name that is no setting, in each layer that writes it."""
    return [
        f"{entry.origin}: {name} is a secret, and files are read by others; export it in the shell that launches"
        if name in SECRETS
        else f"{entry.origin}: unknown setting {name}; {nearest(name, SETTINGS)}"
        for name, history in histories.items()
        if name not in SETTINGS
        for entry in history
    ]


def variables(environ: Mapping[str, str], *tables: Mapping[str, History]) -> Variables:
    """What `${NAME}` looks up: the winning texts of settings and environment names, then the environment.

    `${NAME}` within a text counts in files, not in what the user typed.
    """
    raw: dict[str, tuple[str, bool]] = {}
    for table in tables:
        for name, history in table.items():
            winner = history[-1]
            text = as_texts({name: winner.value if not isinstance(winner.value, tuple) else " ".join(winner.value)})
            if text.get(name):
                raw[name] = (text[name], winner.origin.path is not None)
    return Variables(raw, environ)


def parse_settings(
    histories: Mapping[str, History], lookup: Variables, problems: list[str], *, optional: Collection[str] = ()
) -> dict[str, SettingValue]:
    """Every setting by its type, None where it is unset; adds to `problems` what is wrong.

    An `optional` setting is unset where its text names a variable that has no value.
    """
    settings: dict[str, SettingValue] = dict.fromkeys(SETTINGS)
    for name, history in histories.items():
        winner = history[-1]
        if name not in SETTINGS or winner.value is None:
            continue
        try:
            raw = lookup(name) or ""
        except Unset as unset:
            if name not in optional:
                problems.append(f"{winner.origin}: {name}: {unset}")
            continue
        if mistake := SETTINGS[name].mistake(raw):
            problems.append(f"{winner.origin}: {mistake}")
        else:
            settings[name] = SETTINGS[name].parse(raw)
    return settings


def absolute_paths(settings: Mapping[str, SettingValue], *, here: str, home: str) -> dict[str, SettingValue]:
    """Settings whose paths start from `here`.

    Those are settings that can only be paths, and those that may also be a name on the Hub or a URI where their text
    begins like a path.
    """
    found = dict(settings)
    for name, value in settings.items():
        kind, text = SETTINGS[name].kind, str(value or "")
        if (kind == "path" and text) or (kind == "name" and text.startswith(("./", "../", "~/"))):
            found[name] = absolute(text, here=here, home=home)
    return found


def absolute(path: str, *, here: str, home: str) -> str:
    """A path from the folder that relative paths start from: ranks and containers start from others."""
    if path == "~" or path.startswith("~/"):
        path = home + path[1:]
    return posixpath.normpath(posixpath.join(here, path))


def unfilled_notice(settings: Mapping[str, SettingValue], histories: Mapping[str, History]) -> str | None:
    """Which values are still the template's own, which no cluster has; None if none is."""
    left = [name for name, value in settings.items() if _PLACEHOLDER in str(value or "")]
    if not left:
        return None
    where = str(histories[left[0]][-1].origin).partition(":")[0]
    return f"{where} is not filled in: {', '.join(left)}; copy it to NAME.conf and set CLUSTER=NAME"

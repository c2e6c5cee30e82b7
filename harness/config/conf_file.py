"""Read the .conf files: INI by `configparser`, never sourced, never executed."""

import configparser
import re
from pathlib import Path
from typing import NamedTuple

from harness.config.layers import Layer
from harness.config.provenance import Entry, Origin
from harness.errors import ConfigError, nearest

_HEADER = re.compile(r"\[(?P<name>.+)\]")
_KEY = re.compile(r"(?P<key>[^\s=][^=]*?)\s*=")


class ConfFile(NamedTuple):
    """A .conf file: its sections, each a mapping from key to value and line, and the lines where they begin."""

    shown: str
    sections: dict[str, dict[str, Entry]]
    headers: dict[str, int]

    def layer(self, section: str, *, env: str | None = None, megatron: str | None = None) -> Layer:
        """The layer of one section. Keys starting with -- are Megatron flags, in `section` and in `megatron`."""
        own = self.sections.get(section, {})
        flags = {key: entry for key, entry in own.items() if key.startswith("--")}
        flags |= self.sections.get(megatron, {}) if megatron else {}
        return Layer(
            settings={key: entry for key, entry in own.items() if not key.startswith("--")},
            flags=flags,
            env=self.sections.get(env, {}) if env else {},
        )

    def pick(self, section: str, *keys: str) -> Entry | None:
        """The first of `keys` that a section has: e.g. [DATA_PATH] by `Slimpajama:Mixtral-8x7B`, then `Slimpajama`."""
        table = self.sections.get(section, {})
        return next((table[key] for key in keys if key in table), None)

    def only_sections(self, known: tuple[str, ...]) -> None:
        """ConfigError for a section that would otherwise be passed over in silence."""
        unknown = [name for name in self.sections if name not in known]
        where = {name: f"{self.shown}:{self.headers[name]}" for name in unknown}
        if unknown:
            raise ConfigError([f"{where[name]}: unknown section [{name}]; {nearest(name, known)}" for name in unknown])


def read_conf(path: Path, *, shown: str, layer: str) -> ConfFile:
    """Parse a .conf file; `shown` is how the file is named to the user."""
    parser = configparser.ConfigParser(
        interpolation=None, delimiters=("=",), comment_prefixes=("#", ";"), default_section=""
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        text = path.read_text(encoding="utf-8")
        parser.read_string(text, source=shown)
    except configparser.Error as error:
        raise ConfigError(_explain(error, shown)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown}: cannot be read: {error}") from None
    lines = _line_numbers(text)
    return ConfFile(
        shown=shown,
        sections={
            name: {
                key: Entry(value=value, origin=Origin(layer=layer, path=shown, line=lines.get((name, key))))
                for key, value in parser[name].items()
            }
            for name in parser.sections()
        },
        headers={name: lines[name, ""] for name in parser.sections()},
    )


def _explain(error: configparser.Error, shown: str) -> str:
    if isinstance(error, configparser.DuplicateOptionError):
        return f"{shown}:{error.lineno}: {error.option} is written twice in [{error.section}]; keep one of them"
    if isinstance(error, configparser.DuplicateSectionError):
        return f"{shown}:{error.lineno}: section [{error.section}] stands twice; join them"
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"{shown}:{error.lineno}: a line before the first [section]: {error.line.strip()!r}"
    if isinstance(error, configparser.ParsingError) and error.errors:
        return "\n".join(
            f"{shown}:{line}: expected KEY = VALUE or [section], found {text}" for line, text in error.errors
        )
    return f"{shown}: {error}"


def _line_numbers(text: str) -> dict[tuple[str, str], int]:
    """(section, key) → line, and (section, "") → its header's. `configparser` checks the text but reports no lines."""
    numbers: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = header["name"]
            numbers[section, ""] = number
        elif key := _KEY.match(line):
            numbers.setdefault((section, key["key"]), number)
    return numbers

"""Read the YAML files (models and proxies) with the line of every value, and without surprises of type."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from harness.config.layers import Layer
from harness.config.megatron_args import ArgValue
from harness.config.provenance import Entry, Origin
from harness.errors import ConfigError

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SECTIONS = ("SETTINGS", "ENV_VARS", "MODEL_ARGS")


def read_yaml(path: Path, *, shown: str, layer: str, only_existing: bool = False) -> Layer:
    """The layer that a YAML file writes; `shown` is how the file is named to the user."""
    reader = _Reader(shown=shown, layer=layer)
    root = reader.compose(path)
    tables: dict[str, dict[str, Entry]] = {section: {} for section in SECTIONS}
    for key, line, node in reader.pairs(root):
        if key not in tables:
            reader.problem(line, f"section {key!r}; a model YAML has {', '.join(SECTIONS)}")
        else:
            tables[key] = reader.table(key, node)
    if reader.problems:
        raise ConfigError(reader.problems)
    return Layer(
        settings=tables["SETTINGS"], env=tables["ENV_VARS"], flags=tables["MODEL_ARGS"], only_existing=only_existing
    )


class _Reader:
    """Walks the nodes that PyYAML composed: it keeps lines, keys written twice, and text as it was written."""

    def __init__(self, *, shown: str, layer: str) -> None:
        self.shown = shown
        self.layer = layer
        self.problems: list[str] = []

    def problem(self, line: int, text: str) -> None:
        self.problems.append(f"{self.shown}:{line}: {text}")

    def compose(self, path: Path) -> yaml.Node | None:
        try:
            node: yaml.Node | None = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ConfigError(f"{self.shown}:{line}: not valid YAML: {error.problem}") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{self.shown}: cannot be read: {error}") from None
        return node

    def pairs(self, node: yaml.Node | None) -> Iterator[tuple[str, int, yaml.Node]]:
        """(key, line, value node) of a mapping; a key written twice is a problem."""
        if node is None or (isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~")):
            return
        if not isinstance(node, yaml.MappingNode):
            self.problem(node.start_mark.line + 1, "expected `key: value` lines")
            return
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(key_node.start_mark.line + 1, "a key must be a name, not a list or a mapping")
                continue
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in seen:
                self.problem(line, f"{key} is written twice (first on line {seen[key]}); keep one of them")
            seen[key] = line
            yield key, line, value_node

    def table(self, section: str, node: yaml.Node) -> dict[str, Entry]:
        """One section's entries."""
        entries: dict[str, Entry] = {}
        for key, line, value_node in self.pairs(node):
            if section == "MODEL_ARGS" and not key.startswith("--"):
                self.problem(line, f"{key!r} in MODEL_ARGS; Megatron's flags start with --, settings go to SETTINGS")
                continue
            value = self._value(line, key, value_node)
            if section != "MODEL_ARGS":
                value = _text(value)
            if value is not None:
                origin = Origin(layer=self.layer, path=self.shown, line=line)
                entries[key] = Entry(value=value, origin=origin)
        return entries

    def _value(self, line: int, key: str, node: yaml.Node) -> ArgValue | None:
        if isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
            return tuple(str(item.value) for item in node.value)
        if not isinstance(node, yaml.ScalarNode):
            self.problem(line, f"{key} has nested values; write one value, or a list of values")
            return None
        if not node.style and node.value.lower() in ("true", "false"):
            return bool(node.value.lower() == "true")
        if not node.style and node.value in ("", "null", "~"):
            return None
        return str(node.value)


def _text(value: ArgValue | None) -> str:
    """A setting's or variable's value as one would type it; an empty one unsets."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value if isinstance(value, str) else " ".join(value)

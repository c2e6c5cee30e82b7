"""A layer holds the settings, flags and environment variables that one source writes; merging keeps those that lost."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from harness.config.provenance import Entry, History

LAYER_ORDER = (
    "built-in default",
    "model YAML",
    "common.conf",
    "runtime.conf",
    "cluster conf",
    "proxy",
    "environment",
    "command line",
    "--on local",
    "extra flags",
)


class Layer(NamedTuple):
    """What one source wrote. Values are raw: text for settings and environment, Megatron values for flags.

    With `only_existing` a name counts only where a lower layer has it: a proxy scales what a model has and adds
    nothing to its architecture.
    """

    settings: Mapping[str, Entry] = MappingProxyType({})
    flags: Mapping[str, Entry] = MappingProxyType({})
    env: Mapping[str, Entry] = MappingProxyType({})
    only_existing: bool = False


def merge(layers: Iterable[Layer], kind: str) -> dict[str, History]:
    """Histories of one kind (`settings`, `flags`, `env`), the lowest layer first in each."""
    merged: dict[str, History] = {}
    for layer in layers:
        for name, entry in getattr(layer, kind).items():
            if layer.only_existing and name not in merged:
                continue
            merged[name] = (*merged.get(name, ()), entry)
    return merged

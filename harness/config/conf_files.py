"""The .conf files of a configuration, each read once, and what may stand in them."""

from functools import cached_property
from pathlib import Path

from harness.config.conf_file import ConfFile, read_conf
from harness.config.layers import Layer
from harness.config.provenance import Entry, Origin
from harness.config.roots import Roots
from harness.errors import ConfigError, nearest

BY_CASE = ("DATA_PATH", "TOKENIZER_MODEL", "LOAD_PATH")
"""Sections of a cluster conf that choose by model or data set."""

DECIDING = ("MODEL", "CLUSTER", "TRAINING_PARAMS_PATH")
"""Settings that decide which files are read, so that no file can write them."""

_COMMON_SECTIONS = ("common", "env", "megatron")
_CLUSTER_SECTIONS = ("cluster", "env", "megatron", *BY_CASE)


class ConfFiles:
    """Finds and reads them; whoever resolves many models shares one."""

    def __init__(self, roots: Roots) -> None:
        self.roots = roots
        self._read: dict[tuple[Path, str], ConfFile] = {}

    @cached_property
    def models(self) -> tuple[str, ...]:
        """The models there are."""
        return tuple(self.roots.names("model"))

    def common_path(self) -> Path:
        """ConfigError if there is none."""
        return self.roots.find("runtime", "common", setting="common.conf")

    def runtime_path(self) -> Path:
        """ConfigError if there is none."""
        return self.roots.find("runtime", "runtime", setting="runtime.conf")

    def cluster_path(self, name: str) -> Path:
        """ConfigError if there is none of that name."""
        return self.roots.find("cluster", name, setting="CLUSTER")

    def read(self, path: Path, layer: str) -> ConfFile:
        """The file at a path, as the layer of that name. ConfigError if it cannot be read."""
        if (path, layer) not in self._read:
            self._read[path, layer] = read_conf(path, shown=self.roots.shown(path), layer=layer)
        return self._read[path, layer]

    def check_cluster(self, common: ConfFile, cluster: ConfFile, *models: str) -> None:
        """ConfigError for sections of either file that would be passed over in silence; `models` are known besides."""
        common.only_sections(_COMMON_SECTIONS)
        cluster.only_sections(_CLUSTER_SECTIONS)
        _refuse_unknown_cases(cluster, {*self.models, *models})


def common_layer(common: ConfFile) -> Layer:
    """The layer of common.conf."""
    return common.layer("common", env="env", megatron="megatron")


def cluster_layer(cluster: ConfFile) -> Layer:
    """The layer of a cluster's conf, without the sections that choose by model or data set."""
    return cluster.layer("cluster", env="env", megatron="megatron")


def default_cluster_layer(name: str) -> Layer:
    """The layer of the cluster that is taken where nobody names one."""
    return Layer(settings={"CLUSTER": Entry(value=name, origin=Origin(layer="built-in default"))})


def refuse_deciding(*files: Layer) -> None:
    """ConfigError where a file writes what decides which files are read."""
    problems = [
        f"{layer.settings[name].origin}: {name} decides which files are read; give it on the command line or export it"
        for layer in files
        for name in DECIDING
        if name in layer.settings
    ]
    if problems:
        raise ConfigError(problems)


def _refuse_unknown_cases(cluster: ConfFile, models: set[str]) -> None:
    """A model's name misspelt in [LOAD_PATH] and its kin would be passed over in silence."""
    problems = []
    for section in BY_CASE:
        for key, entry in cluster.sections.get(section, {}).items():
            model = key if section == "LOAD_PATH" else key.partition(":")[2]
            if model and model not in models:
                problems.append(f"{entry.origin}: [{section}] {key}: no such model; {nearest(model, models)}")
    if problems:
        raise ConfigError(problems)

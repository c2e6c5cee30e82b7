"""OUTPUT_PATH without a model: the verbs that read runs resolve none."""

from collections.abc import Mapping
from pathlib import Path

from harness.config.roots import Roots
from harness.disk import expanded
from harness.errors import ConfigError

_NAME = "OUTPUT_PATH"


def find_output_path(environ: Mapping[str, str], roots: Roots) -> Path:
    """The folder in which runs get theirs: as exported, else from the conf of an exported CLUSTER and common.conf.

    ConfigError where the conf cannot be read, or its OUTPUT_PATH depends on a model; its other mistakes do not matter.
    """
    exported = environ.get(_NAME)
    return expanded(exported) if exported else _in_confs(environ, roots)


def _in_confs(environ: Mapping[str, str], roots: Roots) -> Path:
    # Imported late: where the folder is exported, no conf is read.
    from harness.config.cluster import cluster_layers
    from harness.config.interpolate import Unset
    from harness.config.layers import merge
    from harness.config.request import Request
    from harness.config.settings import variables

    layers = cluster_layers(Request(environ=environ), roots)
    histories = merge(layers, "settings")
    try:
        return expanded(variables(environ, histories, merge(layers, "env"))(_NAME) or "")
    except Unset as unset:
        where = histories[_NAME][-1].origin
        raise ConfigError(f"{where}: {_NAME}: {unset}; or name the folder by --output-path") from None

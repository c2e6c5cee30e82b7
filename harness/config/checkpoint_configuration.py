"""The configuration of a job whose network comes from a checkpoint, in place of a model YAML."""

from collections.abc import Mapping

from harness.config.arguments import parse_arguments
from harness.config.conf_files import ConfFiles, cluster_layer, common_layer, default_cluster_layer, refuse_deciding
from harness.config.configuration import Configuration
from harness.config.layers import Layer
from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import Entry, Origin, SettingValue
from harness.config.request import Request
from harness.config.user_layers import chosen

LAYER = "checkpoint"


def checkpoint_layer(flags: MegatronArgs, settings: Mapping[str, SettingValue], where: str) -> Layer:
    """The layer that a checkpoint in the folder `where` writes: its network's flags, and settings that go with them."""
    origin = Origin(layer=LAYER, path=where)
    return Layer(
        flags={flag: Entry(value=value, origin=origin) for flag, value in flags.items()},
        settings={name: Entry(value=value, origin=origin) for name, value in settings.items() if value is not None},
    )


def read_checkpoint_configuration(request: Request, confs: ConfFiles, network: Layer) -> Configuration:
    """Read common.conf and the cluster's conf over the layer of a checkpoint. ConfigError for files that are wrong.

    Presets of models count for training, so there are none of them here.
    """
    typed = parse_arguments(request.arguments)
    name = chosen("CLUSTER", typed, request.environ) or request.default_cluster
    common = confs.read(confs.common_path(), "common.conf")
    cluster = confs.read(confs.cluster_path(name), "cluster conf")
    confs.check_cluster(common, cluster)
    files = [network, common_layer(common), cluster_layer(cluster)]
    refuse_deciding(*files[1:])
    files.insert(0, default_cluster_layer(request.default_cluster))
    return Configuration(
        request=request, typed=typed, files=tuple(files), cluster=cluster, model="", here=str(confs.roots.here)
    )

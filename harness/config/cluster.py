"""The settings of a cluster by themselves, for jobs that train no model."""

from collections.abc import Collection

from harness.config.arguments import parse_arguments
from harness.config.conf_file import ConfFile
from harness.config.conf_files import ConfFiles, cluster_layer, common_layer, default_cluster_layer, refuse_deciding
from harness.config.layers import Layer, merge
from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import Resolved
from harness.config.request import Request
from harness.config.roots import Roots
from harness.config.schema import SETTINGS
from harness.config.settings import (
    absolute_paths,
    defaults,
    parse_settings,
    unfilled_notice,
    unknown_settings,
    variables,
)
from harness.config.user_layers import chosen, user_layers
from harness.errors import ConfigError


def resolve_cluster(request: Request, roots: Roots, *, needed: Collection[str] = ()) -> Resolved:
    """The settings of the request's cluster, without flags or environment, and without rules.

    They come from the built-in defaults, common.conf, the cluster's conf, the environment and the arguments. One that
    refers to what only a training has, such as `${MODEL}`, is unset; it is a mistake where it is `needed`. ConfigError
    holds all mistakes.
    """
    confs = ConfFiles(roots)
    common, cluster = _read(request, confs)
    confs.check_cluster(common, cluster)
    layers = _layers(request, common, cluster)
    histories = merge(layers, "settings")
    if problems := unknown_settings(histories):
        raise ConfigError(problems)
    lookup = variables(request.environ, histories, merge(layers, "env"))
    settings = parse_settings(histories, lookup, problems, optional=SETTINGS.keys() - set(needed))
    if problems:
        raise ConfigError(problems)
    here = str(roots.here)
    notice = unfilled_notice(settings, histories)
    return Resolved(
        settings=absolute_paths(settings, here=here, home=request.environ.get("HOME", here)),
        megatron_args=MegatronArgs({}),
        env={},
        origins=histories,
        notices=(notice,) if notice else (),
    )


def cluster_layers(request: Request, roots: Roots) -> list[Layer]:
    """All layers, lowest first, of which nothing is checked: for whoever reads one setting of them."""
    return _layers(request, *_read(request, ConfFiles(roots)))


def _read(request: Request, confs: ConfFiles) -> tuple[ConfFile, ConfFile]:
    name = chosen("CLUSTER", parse_arguments(request.arguments), request.environ) or request.default_cluster
    paths = {"common.conf": confs.common_path(), "cluster conf": confs.cluster_path(name)}
    common, cluster = (confs.read(path, layer) for layer, path in paths.items())
    return common, cluster


def _layers(request: Request, common: ConfFile, cluster: ConfFile) -> list[Layer]:
    files = [common_layer(common), cluster_layer(cluster)]
    refuse_deciding(*files)
    files.insert(0, default_cluster_layer(request.default_cluster))
    return [defaults(), *files, *user_layers(parse_arguments(request.arguments), request.environ, files)]

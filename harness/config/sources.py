"""Read the files that a request names. The thin edge around the pure `Configuration`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.config.arguments import argument_problems, parse_arguments
from harness.config.conf_files import ConfFiles, cluster_layer, common_layer, default_cluster_layer, refuse_deciding
from harness.config.configuration import Configuration
from harness.config.job_environment import declared_names
from harness.config.layers import Layer
from harness.config.provenance import Resolved
from harness.config.request import Request
from harness.config.roots import Roots
from harness.config.user_layers import chosen
from harness.config.yaml_file import read_yaml
from harness.errors import ConfigError


def resolve_request(request: Request, roots: Roots) -> Resolved:
    """Read every file the request names and resolve it. ConfigError holds all mistakes."""
    return read_configuration(request, ConfFiles(roots)).resolved()


def read_configuration(request: Request, confs: ConfFiles) -> Configuration:
    """Read every file the request names: .conf files through `confs`, which reads none twice.

    ConfigError for files that are not there or cannot be read, and for what no file may hold.
    """
    typed, environ, roots = parse_arguments(request.arguments), request.environ, confs.roots
    model = chosen("MODEL", typed, environ)
    paths = _paths(request, typed, confs)
    common, runtime, cluster = (confs.read(paths[it], it) for it in ("common.conf", "runtime.conf", "cluster conf"))
    confs.check_cluster(common, cluster, model)
    runtime.only_sections((*confs.models, model))
    files = [
        read_yaml(paths["model YAML"], shown=roots.shown(paths["model YAML"]), layer="model YAML"),
        common_layer(common),
        runtime.layer(model),
        cluster_layer(cluster),
    ]
    refuse_deciding(*files)
    files.insert(0, default_cluster_layer(request.default_cluster))
    proxy = chosen("PROXY", typed, environ, *reversed(files))
    if proxy and proxy != "none":
        path = roots.find("proxy", proxy, setting="PROXY")
        scaled = read_yaml(path, shown=roots.shown(path), layer="proxy", only_existing=True)
        files.append(_on_nodes_of(files[-1], scaled))
    return Configuration(
        request=request, typed=typed, files=tuple(files), cluster=cluster, model=model, here=str(roots.here)
    )


def _on_nodes_of(cluster: Layer, proxy: Layer) -> Layer:
    """A proxy's layer, without its NNODES where the cluster conf sets them: a proxy scales the model alone."""
    if "NNODES" not in cluster.settings:
        return proxy
    return proxy._replace(settings={name: it for name, it in proxy.settings.items() if name != "NNODES"})


def _paths(request: Request, typed: Mapping[str, str], confs: ConfFiles) -> dict[str, Path]:
    """The files of a request by their layers; ConfigError lists all that are missing, and mistaken arguments."""

    def asked(name: str) -> str:
        return chosen(name, typed, request.environ)

    finds: dict[str, Callable[[], Path]] = {
        "model YAML": lambda: _model_path(confs.roots, asked("MODEL"), asked("TRAINING_PARAMS_PATH")),
        "common.conf": confs.common_path,
        "runtime.conf": confs.runtime_path,
        "cluster conf": lambda: confs.cluster_path(asked("CLUSTER") or request.default_cluster),
    }
    paths = {}
    problems: list[str] = []
    for layer, find in finds.items():
        try:
            paths[layer] = find()
        except ConfigError as error:
            problems += error.problems
    if problems:  # MODLE=… may be why
        raise ConfigError([*argument_problems(typed, declared_names(typed, ())), *problems])
    return paths


def _model_path(roots: Roots, model: str, own_path: str) -> Path:
    if not model:
        raise ConfigError(f"MODEL is not set; set MODEL=NAME, one of: {', '.join(roots.names('model'))}")
    if "/" in model or model.endswith(".yaml"):
        raise ConfigError(f"MODEL={model}: a model is a name; give a YAML of your own as TRAINING_PARAMS_PATH={model}")
    if own_path:
        return roots.file(own_path, setting="TRAINING_PARAMS_PATH")
    return roots.find("model", model, setting="MODEL")

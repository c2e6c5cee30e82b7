"""Collect the layers from files, environment and command line. The thin edge around the pure `resolve`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.config.conf_file import ConfFile, read_conf
from harness.config.layers import Layer
from harness.config.provenance import Entry, Origin, Resolved
from harness.config.resolve import defaults, resolve
from harness.config.roots import Roots
from harness.config.schema import SETTINGS
from harness.config.words import declared_names, mistakes_in, typed_words
from harness.config.yaml_file import read_yaml
from harness.errors import ConfigError, nearest

BY_CASE = ("DATA_PATH", "TOKENIZER_MODEL", "LOAD_PATH")  # cluster conf sections that choose by model or data set
_COMMON_SECTIONS = ("common", "env", "megatron")
_CLUSTER_SECTIONS = ("cluster", "env", "megatron", *BY_CASE)
# They decide which files are read, so no file can say them.
_ONLY_TYPED = ("MODEL", "CLUSTER", "TRAINING_PARAMS_PATH")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user typed: `KEY=VALUE` words, the words after `--`, and the environment.

    `default_cluster` is the conf used where nobody names one, `place` where the job will run, `gpus` the GPUs found
    on this machine.
    """

    words: Sequence[str] = ()
    extra: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    default_cluster: str = "laptop"
    place: str = "interactive"
    gpus: int = 0


def resolve_request(request: Request, roots: Roots) -> Resolved:
    """Read every file the request names and resolve it. ConfigError holds all mistakes."""
    typed = typed_words(request.words)
    chosen = _Chosen(request, typed)
    model = chosen.get("MODEL")
    paths = _paths(chosen, typed, request.default_cluster, roots)
    common, runtime, cluster = (
        read_conf(paths[layer], shown=roots.shown(paths[layer]), layer=layer)
        for layer in ("common.conf", "runtime.conf", "cluster conf")
    )
    common.only_sections(_COMMON_SECTIONS)
    runtime.only_sections((*roots.names("model"), model))
    cluster.only_sections(_CLUSTER_SECTIONS)
    _refuse_unknown_cases(cluster, {*roots.names("model"), model})
    files = [
        read_yaml(paths["model YAML"], shown=roots.shown(paths["model YAML"]), layer="model YAML"),
        common.layer("common", env="env", megatron="megatron"),
        runtime.layer(model),
        cluster.layer("cluster", env="env", megatron="megatron"),
    ]
    _refuse_only_typed(files)
    files.insert(0, _cluster_default(request.default_cluster))
    proxy = chosen.get("PROXY", *reversed(files))
    if proxy and proxy != "none":
        path = roots.find("proxy", proxy, setting="PROXY")
        scaled = read_yaml(path, shown=roots.shown(path), layer="proxy", only_existing=True)
        files.append(_on_nodes_of(files[-1], scaled))
    files.append(_by_case(cluster, model, chosen.get("DATASET", *reversed(files))))
    layers = [defaults(), *files, *_user_layers(request, typed, files), _place(request.place)]
    return resolve(layers, request.extra, request.environ, here=str(roots.here), gpus=request.gpus)


def _on_nodes_of(cluster: Layer, proxy: Layer) -> Layer:
    """A proxy's layer; a cluster conf that says NNODES is right about it, for a proxy scales the model."""
    if "NNODES" not in cluster.settings:
        return proxy
    return replace(proxy, settings={name: it for name, it in proxy.settings.items() if name != "NNODES"})


class _Chosen:
    """The names that decide which files are read, from the highest layer down."""

    def __init__(self, request: Request, typed: Mapping[str, str]) -> None:
        self._typed = typed
        self._environ = request.environ

    def get(self, name: str, *layers: Layer) -> str:
        if name in self._typed:
            return self._typed[name]
        if self._environ.get(name):
            return self._environ[name]
        found = (layer.settings[name].value for layer in layers if name in layer.settings)
        return str(next(found, "") or "")


def _refuse_only_typed(files: Sequence[Layer]) -> None:
    problems = [
        f"{layer.settings[name].origin}: {name} decides which files are read; give it on the command line or export it"
        for layer in files
        for name in _ONLY_TYPED
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


def _cluster_default(name: str) -> Layer:
    return Layer(settings={"CLUSTER": Entry(value=name, origin=Origin(layer="built-in default"))})


def _paths(chosen: _Chosen, typed: Mapping[str, str], default_cluster: str, roots: Roots) -> dict[str, Path]:
    """The files of a request by their layers; ConfigError tells of all that are missing, and of mistaken words."""
    finds: dict[str, Callable[[], Path]] = {
        "model YAML": lambda: _model_path(roots, chosen.get("MODEL"), chosen.get("TRAINING_PARAMS_PATH")),
        "common.conf": lambda: roots.find("runtime", "common", setting="common.conf"),
        "runtime.conf": lambda: roots.find("runtime", "runtime", setting="runtime.conf"),
        "cluster conf": lambda: roots.find("cluster", chosen.get("CLUSTER") or default_cluster, setting="CLUSTER"),
    }
    paths = {}
    problems: list[str] = []
    for layer, find in finds.items():
        try:
            paths[layer] = find()
        except ConfigError as error:
            problems += error.problems
    if problems:  # MODLE=… may be why
        raise ConfigError([*mistakes_in(typed, declared_names(typed)), *problems])
    return paths


def _model_path(roots: Roots, model: str, own_path: str) -> Path:
    if not model:
        raise ConfigError(f"MODEL is not set; set MODEL=NAME, one of: {', '.join(roots.names('model'))}")
    if "/" in model or model.endswith(".yaml"):
        raise ConfigError(f"MODEL={model}: a model is a name; give a YAML of your own as TRAINING_PARAMS_PATH={model}")
    if own_path:
        return roots.file(own_path, setting="TRAINING_PARAMS_PATH")
    return roots.find("model", model, setting="MODEL")


def _by_case(cluster: ConfFile, model: str, dataset: str) -> Layer:
    """`[DATA_PATH] Slimpajama:Mixtral-8x7B = …` or `Slimpajama = …`; `[LOAD_PATH] DeepSeek-V3 = …`."""
    keys = {
        "DATA_PATH": (f"{dataset}:{model}", dataset),
        "TOKENIZER_MODEL": (f"{dataset}:{model}", model, dataset),
        "LOAD_PATH": (model,),
    }
    picked = {name: cluster.pick(name, *keys[name]) for name in BY_CASE}
    return Layer(settings={name: entry for name, entry in picked.items() if entry is not None})


def _place(place: str) -> Layer:
    """`--on local` means the embedded engine on this machine, whatever a conf says of Megatron and containers."""
    if place != "local":
        return Layer()
    entry = Entry(value="", origin=Origin(layer="--on local"))
    return Layer(settings=dict.fromkeys(("MEGATRON_PATH", "CONTAINER_IMAGE"), entry), only_existing=True)


def _user_layers(request: Request, typed: Mapping[str, str], files: Sequence[Layer]) -> list[Layer]:
    """The environment, where it names a setting or a variable that a file declares; then KEY=VALUE words."""
    declared = declared_names(typed, *files)
    exported = {name: value for name, value in request.environ.items() if value}
    if any(name not in SETTINGS and name not in declared for name in typed):
        raise ConfigError(mistakes_in(typed, declared))
    return [
        _words_layer({name: exported[name] for name in exported if name in SETTINGS}, "environment", SETTINGS),
        Layer(env=_entries({name: exported[name] for name in exported if name in declared}, "environment")),
        _words_layer(typed, "command line", SETTINGS),
        Layer(env=_entries({name: typed[name] for name in typed if name in declared}, "command line")),
    ]


def _words_layer(words: Mapping[str, str], layer: str, known: Mapping[str, object]) -> Layer:
    return Layer(settings=_entries({name: value for name, value in words.items() if name in known}, layer))


def _entries(words: Mapping[str, str], layer: str) -> dict[str, Entry]:
    origin = Origin(layer=layer)
    return {name: Entry(value=value, origin=origin) for name, value in words.items()}

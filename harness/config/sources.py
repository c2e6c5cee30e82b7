"""Collect the layers from files, environment and command line. The thin edge around the pure `resolve`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.config.conf_file import ConfFile, read_conf
from harness.config.layers import Layer
from harness.config.provenance import Entry, Origin, Resolved
from harness.config.resolve import defaults, resolve
from harness.config.roots import Roots
from harness.config.schema import SETTINGS
from harness.config.secrets import SECRETS
from harness.config.yaml_file import read_yaml
from harness.errors import ConfigError, nearest

BY_CASE = ("DATA_PATH", "TOKENIZER_MODEL", "LOAD_PATH")  # cluster conf sections that choose by model or data set
_CLUSTER_SECTIONS = ("cluster", "env", "megatron", *BY_CASE)


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
    typed = _typed_words(request.words)
    chosen = _Chosen(request, typed)
    model = chosen.get("MODEL")
    if not model:
        raise ConfigError(f"MODEL is not set; set MODEL=NAME, one of: {', '.join(roots.names('model'))}")
    cluster_name = chosen.get("CLUSTER") or request.default_cluster
    cluster = _conf(roots, "cluster", cluster_name, setting="CLUSTER", layer="cluster conf")
    cluster.only_sections(_CLUSTER_SECTIONS)
    files = [
        _cluster_default(request.default_cluster),
        _model_layer(roots, model, chosen.get("TRAINING_PARAMS_PATH")),
        _conf(roots, "runtime", "common", setting="common.conf", layer="common.conf").layer(
            "common", env="env", megatron="megatron"
        ),
        _conf(roots, "runtime", "runtime", setting="runtime.conf", layer="runtime.conf").layer(model),
        cluster.layer("cluster", env="env", megatron="megatron"),
    ]
    proxy = chosen.get("PROXY", *reversed(files))
    if proxy and proxy != "none":
        path = roots.find("proxy", proxy, setting="PROXY")
        files.append(read_yaml(path, shown=roots.shown(path), layer="proxy", only_existing=True))
    files.append(_by_case(cluster, model, chosen.get("DATASET", *reversed(files))))
    layers = [defaults(), *files, *_user_layers(request, typed, files), _place(request.place)]
    return resolve(layers, request.extra, request.environ, here=str(roots.here), gpus=request.gpus)


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


def _typed_words(words: Sequence[str]) -> dict[str, str]:
    problems = [
        f"command line: {word!r} is not KEY=VALUE; Megatron's flags go after --" for word in words if "=" not in word
    ]
    if problems:
        raise ConfigError(problems)
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _cluster_default(name: str) -> Layer:
    return Layer(settings={"CLUSTER": Entry(value=name, origin=Origin(layer="built-in default"))})


def _model_layer(roots: Roots, model: str, own_path: str) -> Layer:
    if own_path:
        path = roots.file(Path(own_path).expanduser(), setting="TRAINING_PARAMS_PATH")
    else:
        path = roots.find("model", model, setting="MODEL")
    return read_yaml(path, shown=roots.shown(path), layer="model YAML")


def _conf(roots: Roots, kind: str, name: str, *, setting: str, layer: str) -> ConfFile:
    path = roots.find(kind, name, setting=setting)
    return read_conf(path, shown=roots.shown(path), layer=layer)


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
    declared = {name for layer in files for name in layer.env}
    exported = {name: value for name, value in request.environ.items() if value}
    unknown = [name for name in typed if name not in SETTINGS and name not in declared]
    if unknown:
        raise ConfigError([_unknown(name, declared) for name in unknown])
    return [
        _words_layer({name: exported[name] for name in exported if name in SETTINGS}, "environment", SETTINGS),
        Layer(env=_entries({name: exported[name] for name in exported if name in declared}, "environment")),
        _words_layer(typed, "command line", SETTINGS),
        Layer(env=_entries({name: typed[name] for name in typed if name in declared}, "command line")),
    ]


def _unknown(name: str, declared: set[str]) -> str:
    if name in SECRETS:
        return f"command line: {name} is a secret, and others can read a command line; export {name} instead"
    return f"command line: unknown setting {name}; {nearest(name, {*SETTINGS, *declared})}"


def _words_layer(words: Mapping[str, str], layer: str, known: Mapping[str, object]) -> Layer:
    return Layer(settings=_entries({name: value for name, value in words.items() if name in known}, layer))


def _entries(words: Mapping[str, str], layer: str) -> dict[str, Entry]:
    origin = Origin(layer=layer)
    return {name: Entry(value=value, origin=origin) for name, value in words.items()}

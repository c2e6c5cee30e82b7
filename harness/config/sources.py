"""Collect the layers from files, environment and command line. The thin edge around the pure `resolve`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.config.conf_file import ConfFile, read_conf
from harness.config.layers import Layer
from harness.config.provenance import Entry, Origin, Resolved
from harness.config.resolve import defaults, resolve
from harness.config.roots import Roots
from harness.config.rules.moe import RULE_ENVIRONMENT
from harness.config.schema import SETTINGS
from harness.config.secrets import SECRETS
from harness.config.yaml_file import read_yaml
from harness.errors import ConfigError, nearest

BY_CASE = ("DATA_PATH", "TOKENIZER_MODEL", "LOAD_PATH")  # cluster conf sections that choose by model or data set
_COMMON_SECTIONS = ("common", "env", "megatron")
_CLUSTER_SECTIONS = ("cluster", "env", "megatron", *BY_CASE)
# They decide which files are read, so no file can say them.
_ONLY_TYPED = ("MODEL", "CLUSTER", "TRAINING_PARAMS_PATH")
# Environment variables of the libraries in a job; settings and flags cover everything else.
_LIBRARIES = ("NCCL_", "NVTE_", "CUDA_", "CUDNN_", "CUBLAS_", "TORCH_", "PYTORCH_", "UCX_", "OMP_", "GLOO_")


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
    if not model:
        strangers = [_unknown(name, set()) for name in typed if name not in SETTINGS]  # MODLE=… among them
        missing = f"MODEL is not set; set MODEL=NAME, one of: {', '.join(roots.names('model'))}"
        raise ConfigError([*strangers, missing])
    cluster_name = chosen.get("CLUSTER") or request.default_cluster
    common = _conf(roots, "runtime", "common", setting="common.conf", layer="common.conf")
    runtime = _conf(roots, "runtime", "runtime", setting="runtime.conf", layer="runtime.conf")
    cluster = _conf(roots, "cluster", cluster_name, setting="CLUSTER", layer="cluster conf")
    common.only_sections(_COMMON_SECTIONS)
    runtime.only_sections((*roots.names("model"), model))
    cluster.only_sections(_CLUSTER_SECTIONS)
    _refuse_unknown_cases(cluster, {*roots.names("model"), model})
    files = [
        _model_layer(roots, model, chosen.get("TRAINING_PARAMS_PATH")),
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


def typed_words(words: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` words by name; ConfigError for other words, and for a name given twice."""
    typed: dict[str, str] = {}
    problems = []
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            problems.append(f"command line: {word!r} is not KEY=VALUE; Megatron's flags go after --")
        elif name in typed:
            problems.append(f"command line: {name} is given twice: {name}={typed[name]} and {word}; keep one of them")
        typed[name] = value
    if problems:
        raise ConfigError(problems)
    return typed


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


def _model_layer(roots: Roots, model: str, own_path: str) -> Layer:
    if "/" in model or model.endswith(".yaml"):
        raise ConfigError(f"MODEL={model}: a model is a name; give a YAML of your own as TRAINING_PARAMS_PATH={model}")
    if own_path:
        path = roots.file(own_path, setting="TRAINING_PARAMS_PATH")
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
    declared = {*RULE_ENVIRONMENT, *(name for layer in files for name in layer.env)}
    declared |= {name for name in typed if name.startswith(_LIBRARIES)}
    exported = {name: value for name, value in request.environ.items() if value}
    unknown = [name for name in typed if name not in SETTINGS and name not in declared]
    if unknown:
        mistakes = (
            SETTINGS[name].mistake(value) for name, value in typed.items() if name in SETTINGS and "$" not in value
        )
        raise ConfigError(
            [*(_unknown(name, declared) for name in unknown), *(f"command line: {it}" for it in mistakes if it)]
        )
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

"""A configuration whose files are read: it resolves as often as it is asked, with other settings on top. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from harness.config.conf_file import ConfFile
from harness.config.conf_files import BY_CASE, DECIDING
from harness.config.layers import Layer
from harness.config.provenance import Entry, Origin, Resolved
from harness.config.request import Request
from harness.config.resolve import resolve
from harness.config.settings import defaults
from harness.config.user_layers import chosen, user_layers

_NOTHING: Mapping[str, str] = MappingProxyType({})
_FIXED = (*DECIDING, "PROXY")


class Configuration(NamedTuple):
    """The layers of one request.

    `typed` are the arguments by key; `files` the layers between the built-in defaults and the environment, lowest
    first; `cluster` the conf whose sections choose by `model` and DATASET; `here` the folder that relative paths start
    from. The request's own arguments count no more.
    """

    request: Request
    typed: Mapping[str, str]
    files: tuple[Layer, ...]
    cluster: ConfFile
    model: str
    here: str

    def resolved(self, settings: Mapping[str, str] = _NOTHING) -> Resolved:
        """What it comes to with these settings typed besides, or in place of those of the same name.

        ConfigError holds all mistakes. ValueError for another value of a setting that decided which files were read.
        """
        typed, request = {**self.typed, **settings}, self.request
        other = [name for name in _FIXED if name in settings and settings[name] != self.typed.get(name, "")]
        if other:
            raise ValueError(f"{', '.join(other)} decided which files were read, and cannot be changed any more")
        dataset = chosen("DATASET", typed, request.environ, *reversed(self.files))
        files = (*self.files, _by_case(self.cluster, self.model, dataset))
        layers = [defaults(), *files, *user_layers(typed, request.environ, files), _without_container(request.executor)]
        return resolve(layers, request.extra, request.environ, here=self.here, gpus=request.gpus)

    def without(self, *names: str) -> "Configuration":
        """The same configuration as if these settings had not been typed; ValueError for one that decided on files."""
        if fixed := [name for name in _FIXED if name in names and name in self.typed]:
            raise ValueError(f"{', '.join(fixed)} decided which files were read, and cannot be left out any more")
        return self._replace(typed={name: value for name, value in self.typed.items() if name not in names})


def _by_case(cluster: ConfFile, model: str, dataset: str) -> Layer:
    """`[DATA_PATH] Slimpajama:Mixtral-8x7B = …` or `Slimpajama = …`; `[LOAD_PATH] DeepSeek-V3 = …`."""
    keys = {
        "DATA_PATH": (f"{dataset}:{model}", dataset),
        "TOKENIZER_MODEL": (f"{dataset}:{model}", model, dataset),
        "LOAD_PATH": (model,),
    }
    picked = {name: cluster.pick(name, *keys[name]) for name in BY_CASE}
    return Layer(settings={name: entry for name, entry in picked.items() if entry is not None})


def _without_container(executor: str) -> Layer:
    """`--on local` means the embedded engine on this machine, whatever a conf says of Megatron and containers."""
    if executor != "local":
        return Layer()
    entry = Entry(value="", origin=Origin(layer="--on local"))
    return Layer(settings=dict.fromkeys(("MEGATRON_PATH", "CONTAINER_IMAGE"), entry), only_existing=True)

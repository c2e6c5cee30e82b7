"""What the user exported and typed, above the layers of the files."""

from collections.abc import Mapping, Sequence

from harness.config.arguments import argument_problems
from harness.config.job_environment import declared_names
from harness.config.layers import Layer
from harness.config.provenance import Entry, Origin
from harness.config.schema import SETTINGS
from harness.errors import ConfigError


def user_layers(typed: Mapping[str, str], environ: Mapping[str, str], files: Sequence[Layer]) -> list[Layer]:
    """The environment, where it names a setting or a variable that a file declares; then KEY=VALUE arguments.

    ConfigError for an argument that nothing declares.
    """
    declared = declared_names(typed, (name for layer in files for name in layer.env))
    if any(name not in SETTINGS and name not in declared for name in typed):
        raise ConfigError(argument_problems(typed, declared))
    exported = {name: value for name, value in environ.items() if value}
    return [*_layers(exported, declared, "environment"), *_layers(typed, declared, "command line")]


def _layers(values: Mapping[str, str], declared: set[str], name: str) -> list[Layer]:
    """One layer of settings, and one of variables of the job's environment."""
    origin = Origin(layer=name)
    return [
        Layer(settings={key: Entry(value=value, origin=origin) for key, value in values.items() if key in SETTINGS}),
        Layer(env={key: Entry(value=value, origin=origin) for key, value in values.items() if key in declared}),
    ]


def chosen(name: str, typed: Mapping[str, str], environ: Mapping[str, str], *files: Layer) -> str:
    """A setting's raw text from the highest layer that has it: typed, exported, then `files`; empty if none has."""
    if name in typed:
        return typed[name]
    if environ.get(name):
        return environ[name]
    found = (layer.settings[name].value for layer in files if name in layer.settings)
    return str(next(found, "") or "")

"""The `KEY=VALUE` words of a command line by themselves."""

from collections.abc import Mapping, Sequence

from harness.config.layers import Layer
from harness.config.rules.moe import RULE_ENVIRONMENT
from harness.config.schema import SETTINGS
from harness.config.secrets import SECRETS
from harness.errors import ConfigError, nearest

# Environment variables of the libraries in a job; settings and flags cover everything else.
_LIBRARIES = ("NCCL_", "NVTE_", "CUDA_", "CUDNN_", "CUBLAS_", "TORCH_", "PYTORCH_", "UCX_", "OMP_", "GLOO_")


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


def declared_names(typed: Mapping[str, str], *files: Layer) -> set[str]:
    """The variables of a job's environment that one may type."""
    of_files = {name for layer in files for name in layer.env}
    return {*RULE_ENVIRONMENT, *of_files, *(name for name in typed if name.startswith(_LIBRARIES))}


def mistakes_in(typed: Mapping[str, str], declared: set[str]) -> list[str]:
    """What is wrong with words whatever the files say: names that nothing knows, values that no setting takes."""
    unknown = [_unknown(name, declared) for name in typed if name not in SETTINGS and name not in declared]
    values = (SETTINGS[name].mistake(value) for name, value in typed.items() if name in SETTINGS and "$" not in value)
    return [*unknown, *(f"command line: {it}" for it in values if it)]


def _unknown(name: str, declared: set[str]) -> str:
    if name in SECRETS:
        return f"command line: {name} is a secret, and others can read a command line; export {name} instead"
    return f"command line: unknown setting {name}; {nearest(name, {*SETTINGS, *declared})}"

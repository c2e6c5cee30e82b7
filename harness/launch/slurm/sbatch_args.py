"""SBATCH_ARGS and SRUN_ARGS: options of the site or the user for sbatch, one `#SBATCH` line each, and for srun."""

import re
import shlex
from collections.abc import Mapping, Sequence

_DISTRIBUTION = re.compile(r"(?:--dist[a-z]*[= ]|-m[= ]?)(.+)")
_HARMLESS = re.compile(r"[^\s'\"\\#`$\x00-\x1f]+")
_OF_SBATCH = {
    **dict.fromkeys(("--output", "--error", "--chdir", "--export", "--export-file", "--open-mode", "--wrap"), ""),
    **dict.fromkeys(("--array", "--signal", "--parsable", "--quiet", "--test-only"), ""),
    **dict.fromkeys(("-o", "-e", "-D", "-a", "-Q"), ""),
    **dict.fromkeys(("--wait", "-W"), "SUBMIT_WAIT"),
    **dict.fromkeys(("--job-name", "-J"), "RUN_NAME"),
    **dict.fromkeys(("--nodes", "-N"), "NNODES"),
    **dict.fromkeys(("--ntasks", "--ntasks-per-node", "-n"), "NNODES and GPUS_PER_NODE"),
    **dict.fromkeys(("--time", "-t"), "RUN_TIME"),
    **dict.fromkeys(("--partition", "-p"), "PARTITION"),
    **dict.fromkeys(("--account", "-A"), "ACCOUNT"),
    **dict.fromkeys(("--requeue", "--no-requeue"), "RETRIES"),
}
"""The options that the job's script sets itself, and the setting to use instead, if there is one."""

_OF_SRUN = {
    **dict.fromkeys(("--output", "--error", "--input", "--chdir", "--export", "--export-file", "--label"), ""),
    **dict.fromkeys(("--kill-on-bad-exit", "--jobid", "--multi-prog", "--pty", "--overlap"), ""),
    **dict.fromkeys(("-o", "-e", "-i", "-D", "-l", "-K"), ""),
    **dict.fromkeys(("--nodes", "-N"), "NNODES"),
    **dict.fromkeys(("--ntasks", "--ntasks-per-node", "-n"), "NNODES and GPUS_PER_NODE"),
}
_SHORTEST = 5
"""The shortest prefix checked, as `--out`: getopt takes an unambiguous prefix for the long option."""


def split_sbatch_args(text: str) -> tuple[str, ...]:
    """Split `--qos=high --exclude node7` → `("--qos=high", "--exclude node7")`. ValueError says what is wrong."""
    options = _grouped(_tokens(text, "#SBATCH line"))
    _refuse_ours(options, _OF_SBATCH)
    return options


def split_srun_args(text: str) -> tuple[str, ...]:
    """Split `--mpi pmix --cpu-bind=none` into arguments of srun. ValueError says what cannot be carried."""
    tokens = _tokens(text, "option of srun")
    options = _grouped(tokens)
    container = [option for option in options if option.startswith(("--container", "--no-container"))]
    if container:
        raise ValueError(f"'{container[0]}' is said by CONTAINER_IMAGE, CONTAINER_MOUNTS and CONTAINER_RUNTIME")
    _refuse_ours(options, _OF_SRUN)
    return tuple(tokens)


def _tokens(text: str, carrier: str) -> list[str]:
    try:
        tokens = shlex.split(text)
    except ValueError:
        raise ValueError("a quote in it does not close") from None
    for token in tokens:
        if not _HARMLESS.fullmatch(token):
            raise ValueError(f"'{token}' holds white space, a quote, '#', '$' or '\\', which no {carrier} can carry")
    return tokens


def _grouped(tokens: Sequence[str]) -> tuple[str, ...]:
    """Join each option with the value after it."""
    options: list[str] = []
    for token in tokens:
        if token.strip("-") and token.startswith("-"):
            options.append(token)
        elif options and token.strip("-"):
            options[-1] += f" {token}"
        else:
            raise ValueError(f"'{token}' is not an option: each begins with '-'")
    return tuple(options)


def _refuse_ours(options: Sequence[str], ours: Mapping[str, str]) -> None:
    for option in options:
        setting = _setting_of(re.split(r"[= ]", option, maxsplit=1)[0], ours)
        if setting is not None:
            fix = f"set {setting} instead" if setting else "leave it out"
            raise ValueError(f"'{option}' is the launcher's own to set; {fix}")
        # Megatron's groups want the ranks of a node to be consecutive.
        if (scattered := _DISTRIBUTION.match(option)) and not scattered[1].startswith(("block", "*")):
            raise ValueError(f"'{option}' would scatter a node's ranks; allowed: block, or *, before the first ':'")


def _setting_of(name: str, ours: Mapping[str, str]) -> str | None:
    """Return the setting to use instead of an option of ours, "" if there is none; None for any other option."""
    if not name.startswith("--"):
        return ours.get(name[:2])
    if name in ours or len(name) < _SHORTEST:
        return ours.get(name)
    return next((setting for own, setting in ours.items() if own.startswith(name)), None)

"""SBATCH_ARGS and SRUN_ARGS: options of the site or the user for sbatch, one `#SBATCH` line each, and for srun."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

_HARMLESS = re.compile(r"[^\s'\"\\#`$\x00-\x1f]+")
_OF_SBATCH = {
    **dict.fromkeys(("--output", "--error", "--chdir", "--export", "--export-file", "--open-mode", "--wrap"), ""),
    **dict.fromkeys(("--array", "--signal", "-o", "-e", "-D", "-a"), ""),
    **dict.fromkeys(("--nodes", "-N"), "NNODES"),
    **dict.fromkeys(("--ntasks", "--ntasks-per-node", "-n"), "NNODES and GPUS_PER_NODE"),
    **dict.fromkeys(("--time", "-t"), "RUN_TIME"),
    **dict.fromkeys(("--requeue", "--no-requeue"), "RETRIES"),
}
"""What the job's script relies on, and the setting that says it, if one does."""

_OF_SRUN = {
    **dict.fromkeys(("--output", "--error", "--input", "--chdir", "--export", "--export-file", "--label"), ""),
    **dict.fromkeys(("--kill-on-bad-exit", "--jobid", "--multi-prog", "--pty", "--overlap"), ""),
    **dict.fromkeys(("-o", "-e", "-i", "-D", "-l", "-K"), ""),
    **dict.fromkeys(("--nodes", "-N"), "NNODES"),
    **dict.fromkeys(("--ntasks", "--ntasks-per-node", "-n"), "NNODES and GPUS_PER_NODE"),
}
_SHORTEST = 5
"""From `--outp` on: getopt takes a long option's beginning for the whole where it can be no other."""


def split_sbatch_args(text: str) -> tuple[str, ...]:
    """`--qos=high --exclude node7` → `("--qos=high", "--exclude node7")`. ValueError says what cannot be carried."""
    options: list[str] = []
    for word in _words(text, "#SBATCH line"):
        if word.startswith("-"):
            options.append(word)
        elif options:
            options[-1] += f" {word}"
        else:
            raise ValueError(f"'{word}' is not an option: each begins with '-'")
    _refuse_ours(options, _OF_SBATCH)
    return tuple(options)


def split_srun_args(text: str) -> tuple[str, ...]:
    """`--mpi pmix --cpu-bind=none` as words of srun's command line. ValueError says what cannot be carried."""
    words = list(_words(text, "option of srun"))
    if words and not words[0].startswith("-"):
        raise ValueError(f"'{words[0]}' is not an option: each begins with '-'")
    container = [word for word in words if word.startswith(("--container", "--no-container"))]
    if container:
        raise ValueError(f"'{container[0]}' is said by CONTAINER_IMAGE, CONTAINER_MOUNTS and CONTAINER_RUNTIME")
    _refuse_ours([word for word in words if word.startswith("-")], _OF_SRUN)
    return tuple(words)


def _words(text: str, carrier: str) -> Iterator[str]:
    for word in shlex.split(text):
        if not _HARMLESS.fullmatch(word):
            raise ValueError(f"'{word}' holds white space, a quote, '#', '$' or '\\', which no {carrier} can carry")
        yield word


def _refuse_ours(options: Sequence[str], ours: Mapping[str, str]) -> None:
    for option in options:
        setting = _setting_of(re.split(r"[= ]", option, maxsplit=1)[0], ours)
        if setting is not None:
            fix = f"set {setting} instead" if setting else "leave it out"
            raise ValueError(f"'{option}' is the launcher's own to set; {fix}")


def _setting_of(name: str, ours: Mapping[str, str]) -> str | None:
    """The setting that says what an option of ours does, "" if none does; None for an option that is not ours."""
    if not name.startswith("--"):
        return ours.get(name[:2])
    if name in ours or len(name) < _SHORTEST:
        return ours.get(name)
    return next((setting for own, setting in ours.items() if own.startswith(name)), None)

"""SBATCH_ARGS and SRUN_ARGS: options of the site or the user for sbatch, one `#SBATCH` line each, and for srun."""

import re
import shlex
from collections.abc import Iterator, Sequence

_HARMLESS = re.compile(r"[^\s'\"\\#`$\x00-\x1f]+")
_OF_SBATCH = ("--output", "--error", "--chdir", "--export", "--export-file", "--open-mode", "--wrap", "--array")
_OF_SBATCH_SHORT = ("-o", "-e", "-D", "-a")
_OF_SRUN = (
    *("--output", "--error", "--input", "--chdir", "--export", "--export-file", "--label", "--kill-on-bad-exit"),
    *("--nodes", "--ntasks", "--ntasks-per-node", "--jobid", "--multi-prog", "--pty", "--overlap"),
)
_OF_SRUN_SHORT = ("-o", "-e", "-i", "-D", "-l", "-K", "-N", "-n")


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
    _refuse_ours(options, _OF_SBATCH, _OF_SBATCH_SHORT)
    return tuple(options)


def split_srun_args(text: str) -> tuple[str, ...]:
    """`--mpi pmix --cpu-bind=none` as words of srun's command line. ValueError says what cannot be carried."""
    words = list(_words(text, "option of srun"))
    if words and not words[0].startswith("-"):
        raise ValueError(f"'{words[0]}' is not an option: each begins with '-'")
    container = [word for word in words if word.startswith(("--container", "--no-container"))]
    if container:
        raise ValueError(f"'{container[0]}' is said by CONTAINER_IMAGE, CONTAINER_MOUNTS and CONTAINER_RUNTIME")
    _refuse_ours([word for word in words if word.startswith("-")], _OF_SRUN, _OF_SRUN_SHORT)
    return tuple(words)


def _words(text: str, carrier: str) -> Iterator[str]:
    for word in shlex.split(text):
        if not _HARMLESS.fullmatch(word):
            raise ValueError(f"'{word}' holds white space, a quote, '#', '$' or '\\', which no {carrier} can carry")
        yield word


def _refuse_ours(options: Sequence[str], ours: Sequence[str], ours_short: Sequence[str]) -> None:
    for option in options:
        name = re.split(r"[= ]", option, maxsplit=1)[0]
        if name in ours or (not name.startswith("--") and name[:2] in ours_short):
            raise ValueError(f"'{option}' is the launcher's own to set; leave it out")

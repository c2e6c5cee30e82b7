"""SBATCH_ARGS: options of the site or the user, one `#SBATCH` line each."""

import re
import shlex

_HARMLESS = re.compile(r"[^\s'\"\\#`$\x00-\x1f]+")
_OURS = ("--output", "--error", "--chdir", "--export", "--export-file", "--open-mode", "--wrap", "--array")
_OURS_SHORT = ("-o", "-e", "-D", "-a")


def split_sbatch_args(text: str) -> tuple[str, ...]:
    """`--qos=high --exclude node7` → `("--qos=high", "--exclude node7")`. ValueError says what cannot be carried."""
    options: list[str] = []
    for word in shlex.split(text):
        if not _HARMLESS.fullmatch(word):
            raise ValueError(f"'{word}' holds white space, a quote, '#', '$' or '\\', which no #SBATCH line can carry")
        if word.startswith("-"):
            options.append(word)
        elif options:
            options[-1] += f" {word}"
        else:
            raise ValueError(f"'{word}' is not an option: each begins with '-'")
    for option in options:
        if _sets_ours(option):
            raise ValueError(f"'{option}' is the launcher's own to set; leave it out")
    return tuple(options)


def _sets_ours(option: str) -> bool:
    name = re.split(r"[= ]", option, maxsplit=1)[0]
    return name in _OURS or (not name.startswith("--") and name[:2] in _OURS_SHORT)

"""The errors a user can meet, under one root."""

from collections.abc import Iterable, Sequence


class HarnessError(Exception):
    """Root of every error that is shown to the user without a traceback.

    `exit_code` is what the command ends with. (A run that failed is no error of the command: it ends with 1.)
    """

    exit_code = 2


class ConfigError(HarnessError):
    """One or more mistakes in what the user wrote; all of them are in the message, a line each."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class EnvironmentProblem(HarnessError):
    """This machine lacks what the command needs (a program, a writable folder, disk space)."""


class Interrupted(HarnessError):
    """Ctrl-C or SIGTERM ended what was under way; it can go on later."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """The tail of an "unknown NAME" message: the closest known names, whatever their case, or all of a short list."""
    from difflib import get_close_matches  # imported late: most commands end well

    names = sorted(known)
    by_folded = {known_name.casefold(): known_name for known_name in names}
    close = get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(by_folded[folded] for folded in close)}?"
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"known: {shown}"

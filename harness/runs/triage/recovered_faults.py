"""Faults that ranks printed and recovered from, such as the failed import of an optional module."""

import re
from collections.abc import Callable, Mapping, Sequence

from harness.launch.exit_code import KILLED, TERMINATED
from harness.runs.triage.evidence import label_of
from harness.runs.triage.signatures import pattern_of, signatures

_NO_FAILURE_OF_ITS_OWN = (0, KILLED, TERMINATED)
_LABELS = re.compile(r"^ *\d+: (\[rank\d+\]: ?)?")


def recovered_faults(log: Sequence[str], exit_codes: Mapping[int, int]) -> Callable[[str], bool]:
    """Return a function that says whether a line tells of a fault from which its rank recovered.

    A rank recovered from a weak fault if it printed a transient one later on, or did not end by an exit code of its
    own. Where no transient fault is in the log there is no other cause to look for. The job's script decides alike
    whether to try again (shell/retry.sh).
    """
    transient = re.compile(pattern_of(it for it in signatures() if it.transient))
    persistent = re.compile(pattern_of(it for it in signatures() if it.persistent and not it.weak))
    weak = re.compile(pattern_of(it for it in signatures() if it.persistent and it.weak))
    last = {label_of(line): at for at, line in enumerate(log) if transient.search(line)}

    def went_on(at: int, line: str) -> bool:
        rank = label_of(line)
        not_by_itself = exit_codes.get(-1 if rank is None else rank, 0) in _NO_FAILURE_OF_ITS_OWN
        return bool(last) and (not_by_itself or at < last.get(rank, -1))

    found = {
        _rank_and_text(line)
        for at, line in enumerate(log)
        if weak.search(line) and not persistent.search(line) and went_on(at, line)
    }
    return lambda line: _rank_and_text(line) in found


def _rank_and_text(line: str) -> tuple[int | None, str]:
    """A rank and its text, without the labels of srun and torch."""
    return label_of(line), _LABELS.sub("", line).strip()

"""What ranks printed of faults that they went on from, such as the import of a module that they can do without."""

import re
from collections.abc import Mapping, Sequence

from harness.launch.exit_code import KILLED, TERMINATED
from harness.launch.signatures import pattern_of, signatures
from harness.results.triage.evidence import label_of

_LEFT_IN_PEACE_OR_ENDED_BY_OTHERS = (0, KILLED, TERMINATED)


def without_survived(lines: Sequence[str], exit_codes: Mapping[int, int]) -> list[str]:
    """The lines without weak faults that their rank survived, where a fault that passes may be the cause instead.

    A rank survived what it printed before such a fault, and so did one that others ended, going by `exit_codes`, as far
    as any is known. The job's script decides alike whether to try again (shell/retry.sh).
    """
    passing = re.compile(pattern_of(it for it in signatures() if it.transient))
    weak = re.compile(pattern_of(it for it in signatures() if it.lasting and it.weak))
    strong = re.compile(pattern_of(it for it in signatures() if it.lasting and not it.weak))
    last = {label_of(line): at for at, line in enumerate(lines) if passing.search(line)}
    if not last:
        return list(lines)

    def survived(at: int, line: str) -> bool:
        rank = label_of(line)
        if rank is None or at < last.get(rank, -1):
            return True
        return bool(exit_codes) and exit_codes.get(rank, 0) in _LEFT_IN_PEACE_OR_ENDED_BY_OTHERS

    return [
        line for at, line in enumerate(lines) if strong.search(line) or not weak.search(line) or not survived(at, line)
    ]

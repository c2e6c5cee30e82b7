"""Expand Slurm's hostlists: `node[1-2,7],login` is node1, node2, node7 and login."""

import re
from collections.abc import Iterator

_ENTRY = re.compile(r"(?:[^,\[]|\[[^\]]*\])+")
_RANGE = re.compile(r"\[([^\]]*)\]")


def expand_hosts(hostlist: str) -> tuple[str, ...]:
    """Expand a hostlist into the nodes' names, in its order."""
    return tuple(name for entry in _ENTRY.findall(hostlist) for name in _expand(entry))


def _expand(entry: str) -> Iterator[str]:
    found = _RANGE.search(entry)
    if found is None:
        yield entry
        return
    for part in found[1].split(","):
        first, _, last = part.partition("-")
        for number in _numbers(first, last):
            yield from _expand(f"{entry[: found.start()]}{number}{entry[found.end() :]}")


def _numbers(first: str, last: str) -> list[str]:
    """`08` to `10`: with as many digits as the first."""
    if not (first.isdecimal() and last.isdecimal()):
        return [first]
    return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]

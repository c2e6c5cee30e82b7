"""Read the output of ranks while they write it, whole lines only."""

from collections.abc import Iterator
from pathlib import Path


class LineTail:
    """One growing file, read by whole lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._partial = b""

    def read(self, *, final: bool = False) -> Iterator[bytes]:
        """Read the lines finished since the last call; with `final`, an unfinished last one too."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            grown = file.read()
        self._offset += len(grown)
        *lines, self._partial = (self._partial + grown).split(b"\n")
        yield from lines
        if final and self._partial:
            yield self._partial


class RankTails:
    """The stdout and stderr of every rank under torchrun's log folder: `*/attempt_0/RANK/{stdout,stderr}.log`."""

    def __init__(self, ranks: Path) -> None:
        self._ranks = ranks
        self._tails: dict[Path, LineTail] = {}

    def read(self, *, final: bool = False) -> Iterator[bytes]:
        """Read the new lines of all ranks as `RANK: text`, as `srun -l` labels them."""
        for path in rank_files(self._ranks, "std*.log"):
            tail = self._tails.setdefault(path, LineTail(path))
            for line in tail.read(final=final):
                yield path.parent.name.encode() + b": " + line


def rank_files(ranks: Path, pattern: str) -> list[Path]:
    """List the ranks' files by rank, a rank's stderr before its stdout."""
    return sorted(ranks.glob(f"*/attempt_*/*/{pattern}"), key=lambda path: (int(path.parent.name), path.name))

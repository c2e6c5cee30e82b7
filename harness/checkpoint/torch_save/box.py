"""Where in files the parts of a tensor lie."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageLocation:
    """Where elements lie: from a byte of a file on, or where `length` is given, in the torch.save zip that is there."""

    path: Path
    offset: int
    length: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """The part of a tensor from index `offsets` on, `sizes` long an axis; from element `first` of `location`."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    location: StorageLocation
    first: int = 0

"""Parse CONTAINER_MOUNTS, the folders of the host that a container sees: `SRC:DST[:ro],SRC2`."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

_UNMOUNTABLE = re.compile(r"[\s,:'\"`$\\]")  # pyxis hands mounts to a shell, and enroot to an fstab
ALLOWED = "allowed: SRC, SRC:DST or SRC:DST:ro with absolute paths, separated by commas"


class Mount(NamedTuple):
    """A host path and where the container has it."""

    source: str
    target: str
    read_only: bool = False

    def __str__(self) -> str:
        """As pyxis takes it."""
        return f"{self.source}:{self.target}:ro" if self.read_only else f"{self.source}:{self.target}"


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """Parse CONTAINER_MOUNTS. ValueError names the entry that is wrong and why."""
    if not text.strip():
        return ()
    return tuple(_parse_entry(entry.strip()) for entry in text.split(","))


def _parse_entry(entry: str) -> Mount:
    source, *rest = entry.split(":")
    target = rest[0] if rest else source
    mode = rest[1] if len(rest) > 1 else ""
    if len(rest) > 2 or mode not in ("", "ro", "rw"):
        raise ValueError(f"entry '{entry}' has too many parts or an unknown mode (no path may hold ':'); {ALLOWED}")
    for path in (source, target):
        if problem := path_problem(path):
            raise ValueError(f"entry '{entry}': {problem}; {ALLOWED}")
    return Mount(source=source, target=target, read_only=mode == "ro")


def path_problem(path: str) -> str | None:
    """Say why a path cannot be one side of a mount; None if it can."""
    if not path.startswith("/"):
        return f"'{path}' is not an absolute path"
    if _UNMOUNTABLE.search(path):
        return f"'{path}' holds white space, a quote or one of , : $ \\ which no mount can carry"
    return None


def source_of(path: str, mounts: Iterable[Mount]) -> str | None:
    """Translate a path in the container to the host's; None where no mount has it."""
    inside = PurePosixPath(path)
    holding = [mount for mount in mounts if inside.is_relative_to(mount.target)]
    if not holding:
        return None
    nearest = max(holding, key=lambda mount: len(mount.target))
    return str(PurePosixPath(nearest.source) / inside.relative_to(nearest.target))

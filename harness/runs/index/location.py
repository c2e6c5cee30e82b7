"""Where the index of a folder of runs lies: in the user's own cache, for the folder may be others'."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path


def index_path(root: Path, environ: Mapping[str, str]) -> Path | None:
    """The index file of the runs under a root; None where the user has no cache folder.

    XDG_CACHE_HOME counts where it is an absolute path, as its specification has it.
    """
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # noqa: PTH117
        home = environ.get("HOME", "")
        if not os.path.isabs(home):  # noqa: PTH117
            return None
        base = f"{home}/.cache"
    try:
        where = os.fsencode(root.resolve())
    except (OSError, RuntimeError):
        return None
    return Path(base) / "moe-harness" / "runs" / f"{hashlib.sha256(where).hexdigest()[:32]}.json"

"""Which folder's runs are meant where nobody names one, and how a run is named so that it is found again."""

import os
import shlex
from pathlib import Path

from harness.config.output_path import find_output_path
from harness.config.roots import Roots
from harness.errors import ConfigError


def default_root() -> Path:
    """Where a command looks for runs if it is given no folder: OUTPUT_PATH, exported or of the exported CLUSTER."""
    return find_output_path(os.environ, Roots.standard())


def named(folder: Path) -> str:
    """What to type for a run: its id if the next command will look in its folder's parent, else the folder itself."""
    try:
        is_default = default_root().resolve() == folder.parent.resolve()
    except (ConfigError, OSError, RuntimeError):
        is_default = False
    return folder.name if is_default else shlex.quote(str(folder))

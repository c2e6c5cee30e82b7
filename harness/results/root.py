"""Where runs lie."""

from pathlib import Path


def runs_root(output_path: str | Path) -> Path:
    """The folder that holds the runs' folders."""
    return Path(output_path).expanduser()

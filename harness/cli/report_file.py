"""Where a report is written to; a file that is there is kept unless asked."""

from pathlib import Path

import click

from harness.cli import screen
from harness.disk import write_whole
from harness.errors import ConfigError, EnvironmentProblem

OUTPUT = click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Where it is written to."
)
OVERWRITE = click.option("--overwrite", is_flag=True, help="Write over FILE where it exists.")


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """ConfigError where the file exists and is to be kept."""
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} exists; give --overwrite, or another file by -o")


def write_report(text: str, path: Path, *, overwrite: bool) -> None:
    """Write it whole, and say so. ConfigError, EnvironmentProblem."""
    refuse_existing(path, overwrite=overwrite)
    try:
        write_whole(path, text)
    except OSError as error:
        raise EnvironmentProblem(
            f"{path}: cannot be written: {error.strerror}; name a file in a folder that you may write"
        ) from None
    screen.progress(f"written: {path} ({max(len(text.encode()) // 1000, 1):,} kB)")

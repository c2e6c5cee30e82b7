"""`moe-harness runs import`."""

from pathlib import Path

import click

from harness.cli import screen
from harness.cli.run_lookup import ROOT
from harness.runs.archive.unpack import unpack_runs


@click.command("import")
@click.argument("file", metavar="FILE.tar.zst", type=click.Path(path_type=Path))
@ROOT
def command(file: Path, root: Path) -> int:
    """Unpack an archive of runs beside one's own; runs that are here stay as they are."""
    unpacked = unpack_runs(file.expanduser(), root)
    for name in unpacked.present:
        screen.notice(f"{name}: is here already")
    for name, reason in unpacked.refused.items():
        screen.error(f"{name}: not imported: {reason}")
    for name in unpacked.imported:
        click.echo(f"{root / name}")
    return 1 if unpacked.refused else 0

"""`moe-harness runs export`."""

from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli import screen
from harness.cli.run_lookup import ROOT, reconciled_runs, runs_of
from harness.runs.archive.pack import pack_runs
from harness.units import show_bytes


@click.command("export")
@click.argument("file", metavar="FILE.tar.zst", type=click.Path(path_type=Path))
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@ROOT
@click.option("--scrub", "scrubbed", is_flag=True, help="Take out users, hosts, accounts and paths.")
@click.option("--logs", is_flag=True, help="With the runs' logs.")
@click.option("--checkpoints", is_flag=True, help="With the checkpoints in the runs' folders.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def command(
    file: Path, runs: Sequence[str], root: Path, scrubbed: bool, logs: bool, checkpoints: bool, overwrite: bool
) -> None:
    """Pack runs into an archive: their records, samples and evaluation results, without secrets."""
    found, _ = reconciled_runs(runs_of(root, runs))
    packed = pack_runs(
        found, file.expanduser(), scrubbed=scrubbed, logs=logs, checkpoints=checkpoints, overwrite=overwrite
    )
    for text in packed.left_out:
        screen.notice(text)
    click.echo(f"{file}: {len(packed.runs)} runs, {show_bytes(packed.size_bytes)}{', scrubbed' if scrubbed else ''}")

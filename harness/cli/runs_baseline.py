"""`moe-harness runs baseline`: make a file that later runs are gated against."""

from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.run_lookup import ROOT, reconciled_runs, runs_of
from harness.disk import expanded


@click.command("baseline")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="FILE", help="Where to write it, such as baselines/NAME.json.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@ROOT
def command(runs: Sequence[str], output: str, overwrite: bool, root: Path) -> None:
    """Write what completed training runs measured into a small file, to be committed.

    Two runs or more make an envelope, from the best to the worst of them. They must be alike: the same job.
    """
    from harness.compare.baseline import make_baseline, refuse_existing, write_baseline

    path = expanded(output)
    refuse_existing(path, overwrite=overwrite)
    found, _ = reconciled_runs(runs_of(root, runs))
    baseline = make_baseline(found)
    write_baseline(baseline, path, overwrite=overwrite)
    count = len(baseline.runs)
    click.echo(f"{path}: {count} run{'' if count == 1 else 's'}, {path.stat().st_size:,} bytes")

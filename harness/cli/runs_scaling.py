"""`moe-harness runs scaling`: how throughput grows with GPUs."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.run_lookup import ROOT, reconciled_runs, runs_of


@click.command("scaling")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
@ROOT
@click.option("--json", "as_json", is_flag=True, help="Print the series as JSON.")
def command(runs: Sequence[str], root: Path, as_json: bool) -> None:
    """Strong scaling of runs at one global batch, weak scaling of runs at one global batch a GPU.

    Efficiency is the throughput a GPU against that of the fewest GPUs. Runs must be alike but for GPUs, mapping and
    batch; runs of one job count as one, by their median, and of several mappings the fastest counts.
    """
    from harness.compare.scaling import scaling_of
    from harness.report.text.scaling_table import scaling_data, show_scaling

    found, _ = reconciled_runs(runs_of(root, runs))
    scaling = scaling_of([run.record for run in found])
    click.echo(json.dumps(scaling_data(scaling), indent=2, ensure_ascii=False) if as_json else show_scaling(scaling))

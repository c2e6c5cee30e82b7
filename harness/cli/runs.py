"""`moe-harness runs`: what was run, what runs, and what came of it."""

import click

from harness.cli.main import Verbs

VERBS = {
    "list": ("harness.cli.runs_list", "All runs, the newest first."),
    "sql": ("harness.cli.runs_sql", "Ask all runs in SQL."),
    "show": ("harness.cli.runs_show", "One run: its figures, attempts, and why it failed."),
    "compare": ("harness.cli.runs_compare", "Runs side by side: configuration, speed, memory, loss."),
    "report": ("harness.cli.runs_report", "A page of runs, or their table."),
    "watch": ("harness.cli.runs_watch", "Follow runs until they have ended."),
    "baseline": ("harness.cli.runs_baseline", "Keep what runs measured in a small file, to gate others against."),
    "gate": ("harness.cli.runs_gate", "Whether a run is as good as a baseline: passed, regressed, inconclusive."),
    "scaling": ("harness.cli.runs_scaling", "Strong and weak scaling of runs on more and more GPUs."),
    "cancel": ("harness.cli.runs_cancel", "End runs under Slurm."),
    "export": ("harness.cli.runs_export", "Pack runs into an archive: records, samples, results."),
    "import": ("harness.cli.runs_import", "Unpack an archive of runs beside one's own."),
}


@click.group("runs", cls=Verbs, verbs=VERBS)
def command() -> None:
    """List, query, show, compare, report, gate, watch, cancel, export and import runs."""

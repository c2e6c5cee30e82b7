"""`moe-harness runs`: what was run, what runs, and what came of it."""

import click

from harness.cli.main import Verbs

VERBS = {
    "list": ("harness.cli.runs_list", "All runs, the newest first."),
    "sql": ("harness.cli.runs_sql", "Ask all runs in SQL."),
    "show": ("harness.cli.runs_show", "One run: its figures, attempts, and why it failed."),
    "report": ("harness.cli.runs_report", "A page of runs, or their table."),
    "watch": ("harness.cli.runs_watch", "Follow runs until they have ended."),
    "cancel": ("harness.cli.runs_cancel", "End runs under Slurm."),
    "export": ("harness.cli.runs_export", "Pack runs into an archive: records, samples, results."),
    "import": ("harness.cli.runs_import", "Unpack an archive of runs beside one's own."),
}


@click.group("runs", cls=Verbs, verbs=VERBS)
def command() -> None:
    """List, query, show, report, watch, cancel, export and import runs."""

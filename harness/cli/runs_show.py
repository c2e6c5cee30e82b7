"""`moe-harness runs show`."""

import json
import shlex
from pathlib import Path

import click

from harness.cli.runs_found import ROOT, as_they_stand, runs_of, with_its_log
from harness.report.text.run_result import show_result
from harness.runs.record_file import to_document


@click.command("show")
@click.argument("run", metavar="RUN")
@ROOT
@click.option("--json", "as_json", is_flag=True, help="Print the whole record as JSON.")
def command(run: str, root: Path, as_json: bool) -> int:
    """One run, by its id, the beginning of its id, its folder, or its Slurm job's id."""
    (found,), reconciled = as_they_stand(runs_of(root, [run]))
    shown = with_its_log(found)
    code = 1 if found.problem else 0
    if as_json:
        click.echo(json.dumps(to_document(shown.record, {}), indent=2))
        return code
    said = None
    if reconciled and (job := reconciled.job_of(found)):
        from harness.report.text.job import show_job

        said = show_job(job)
    click.echo(f"{show_result(shown, said)}\nevery rank ran: {shlex.join(shown.record.job.command)}")
    return code

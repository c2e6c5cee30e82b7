"""`moe-harness runs show`."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from harness.cli import screen
from harness.cli.run_lookup import ROOT, reconciled_runs, run_of, with_its_log
from harness.report.text.run_result import show_result
from harness.runs.record_file import to_document
from harness.runs.samples_file import UnreadableSamples, load_samples, sample_values
from harness.runs.store import StoredRun


@click.command("show")
@click.argument("run", metavar="RUN")
@ROOT
@click.option("--json", "as_json", is_flag=True, help="Print the whole record as JSON, with the samples of all steps.")
def command(run: str, root: Path, as_json: bool) -> int:
    """One run, by its id, the beginning of its id, its folder, or its Slurm job's id."""
    (found,), reconciled = reconciled_runs([run_of(root, run)])
    shown, samples = with_its_log(found)
    code = 1 if found.problem else 0
    if as_json:
        try:
            values = _samples(shown, samples)
        except UnreadableSamples as problem:
            screen.notice(str(problem))
            values, code = [], 1
        click.echo(json.dumps(to_document(shown.record, {}) | {"samples": values}, indent=2))
        return code
    job_text = None
    if reconciled and (job := reconciled.job_of(found)):
        from harness.report.text.job import show_job

        job_text = show_job(job)
    click.echo(f"{show_result(shown, job_text)}\nevery rank ran: {shlex.join(shown.record.job.command)}")
    return code


def _samples(run: StoredRun, read: Sequence[Any] | None) -> list[Any]:
    """The samples as JSON values: those just read of the log, else those kept. UnreadableSamples."""
    return load_samples(run.paths) if read is None else sample_values(read, run.record, {})

"""`moe-harness runs`: what was run, and what came of it."""

import json
from pathlib import Path

import click

from harness.cli import screen
from harness.report.table import show_runs, show_summary
from harness.results.log_parser import parse_log
from harness.results.record import RunRecord
from harness.results.record_file import to_document
from harness.results.recorder import shown_command, with_log
from harness.results.root import runs_root
from harness.results.store import find_run, list_runs

_ROOT = click.option(
    "--output-path", envvar="OUTPUT_PATH", default="runs", show_default=True, help="Where the runs are."
)


@click.group("runs")
def command() -> None:
    """List and show past runs."""


@command.command("list")
@_ROOT
def list_command(output_path: str) -> None:
    """All runs, the newest first."""
    found = list_runs(runs_root(output_path))
    for warning in found.warnings:
        screen.notice(warning)
    if not found.runs:
        click.echo(f"no runs in {output_path}")
        return
    click.echo(show_runs(_as_it_stands(run.record) for run in found.runs))


@command.command("show")
@click.argument("run")
@_ROOT
@click.option("--json", "as_json", is_flag=True, help="The whole record.")
def show_command(run: str, output_path: str, as_json: bool) -> None:
    """One run, by its id, the beginning of its id, or its folder."""
    record = _as_it_stands(find_run(runs_root(output_path), run).record)
    if as_json:
        click.echo(json.dumps(to_document(record, {}), indent=1, ensure_ascii=False))
        return
    click.echo(show_summary(record))
    if record.error and record.error.traceback:
        click.echo(f"\n{record.error.traceback}")
    click.echo(f"\nevery rank ran: {shown_command(record)}")
    click.echo(f"record: {record.paths.get('record', '')}")


def _as_it_stands(record: RunRecord) -> RunRecord:
    """A run still going is read from its log, as far as that has come."""
    log = Path(record.paths.get("log", ""))
    if record.status not in ("running", "submitted") or not log.is_file():
        return record
    return with_log(record, parse_log(log, seq_len=record.resolved.megatron_args.integer("--seq-length") or None))

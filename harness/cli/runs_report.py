"""`moe-harness runs report`."""

from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.report_file import OUTPUT, OVERWRITE, refuse_existing, write_report
from harness.cli.run_lookup import ROOT, reconciled_runs, runs_of, with_its_log
from harness.errors import ConfigError
from harness.report.html.requirement import require_pages
from harness.report.reported_run import ReportedRun, read_reported_run
from harness.runs.store import StoredRun

TEXT_FORMATS = ("md", "csv", "tex", "mllog")


@click.command("report")
@click.argument("names", metavar="RUN…", nargs=-1, required=True)
@ROOT
@OUTPUT
@OVERWRITE
@click.option(
    "--format",
    "kind",
    type=click.Choice(("html", *TEXT_FORMATS)),
    help="html: a page; md, csv, tex: its table; mllog: lines of MLPerf's. Default: as FILE ends, or html.",
)
def command(names: Sequence[str], root: Path, output: Path | None, overwrite: bool, kind: str | None) -> int:
    """One page of training runs, or their table: what ran, how, how fast, and how to run it again.

    Without -o a page is written to report.html, and a table or log to the screen.
    """
    kind = kind or _kind_of(output)
    if kind == "html":
        require_pages("runs report")
        output = output or Path("report.html")
    if output is not None:
        refuse_existing(output, overwrite=overwrite)
    runs, _ = reconciled_runs(runs_of(root, names))
    reported = _read(runs)
    text = _text(reported, kind)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_report(text, output, overwrite=overwrite)
    return 0


def _kind_of(output: Path | None) -> str:
    """By the end of the file's name."""
    ending = output.suffix.removeprefix(".") if output else ""
    return ending if ending in TEXT_FORMATS else "html"


def _read(runs: Sequence[StoredRun]) -> list[ReportedRun]:
    """ConfigError with every run that is none of training."""
    reported: list[ReportedRun] = []
    problems: list[str] = []
    for run in runs:
        shown, samples = with_its_log(run)
        try:
            reported.append(read_reported_run(shown, samples))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return reported


def _text(runs: Sequence[ReportedRun], kind: str) -> str:
    if kind == "html":
        from harness.report.html.report_page import report_page
        from harness.runs.record import utc_now

        return report_page(runs, made=utc_now())
    if kind == "mllog":
        from harness.report.text.mllog import as_mllog

        if len(runs) > 1:
            raise ConfigError(f"--format mllog: such a log is of one run, and {len(runs)} are named; name one")
        return as_mllog(runs[0])
    from harness.report.text.publication_formats import FORMATS
    from harness.report.text.publication_table import publication_rows

    return FORMATS[kind](publication_rows([run.record for run in runs]))

"""Show the results of an evaluation: of one checkpoint in full, of several as a series, in a table and on a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from harness.cli import screen
from harness.disk import write_whole
from harness.errors import EnvironmentProblem
from harness.evaluation.result_file import find_result, read_result
from harness.evaluation.spec import EvaluationSpec


def show_results(spec: EvaluationSpec) -> None:
    """Show the results of all checkpoints: of one in full, of several as a series."""
    found = [find_result(spec, checkpoint) for checkpoint in spec.checkpoints]
    documents = [read_result(path) for path in found if path]
    if len(spec.checkpoints) == 1:
        from harness.report.text.evaluation_result import show_result

        click.echo(show_result(documents[0]))
    else:
        _show_series(spec, documents)


def _show_series(spec: EvaluationSpec, documents: Sequence[Mapping[str, Any]]) -> None:
    from harness.evaluation.series_saturation import series_saturation
    from harness.report.html.requirement import require_pages
    from harness.report.text.evaluation_series import show_series

    saturation = series_saturation(spec)
    click.echo(show_series(documents, saturation))
    page = Path(spec.output_dir) / "series.html"
    try:
        require_pages("the page of the series")
        from harness.report.html.series_page import series_page
        from harness.runs.record import utc_now

        write_whole(page, series_page(documents, saturation, made=utc_now()))
    except EnvironmentProblem as problem:
        screen.notice(str(problem))
    except OSError as error:
        screen.notice(f"{page}: cannot be written: {error.strerror}")
    else:
        click.echo(f"page: {page}")

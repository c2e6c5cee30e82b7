"""`moe-harness eval report`: results of evaluations as one page."""

from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.report_file import OUTPUT, OVERWRITE, refuse_existing, write_report
from harness.disk import expanded
from harness.errors import ConfigError
from harness.evaluation.result_file import list_results, read_result
from harness.report.html.requirement import require_pages


@click.command("report")
@click.argument("results", metavar="RESULT…", nargs=-1, required=True)
@OUTPUT
@OVERWRITE
def command(results: Sequence[str], output: Path | None, overwrite: bool) -> None:
    """One page of results: metrics over steps, and how tokens were routed. Without -o it is report.html.

    A RESULT is a file eval_results_*.json, or a folder, which stands for all of its own or of the folder eval in it.
    Of evaluations of one checkpoint, the newest of those made alike is shown.
    """
    require_pages("eval report")
    output = output or Path("report.html")
    refuse_existing(output, overwrite=overwrite)
    files = _files(results)
    from harness.report.html.checkpoint_metrics import like_evaluations
    from harness.report.html.series_page import series_page
    from harness.runs.record import utc_now

    documents = like_evaluations([read_result(path) for path in files])
    models = dict.fromkeys(str(document.get("model")) for document in documents)
    if len(models) > 1:
        raise ConfigError(f"these results are of {' and '.join(models)}; a page is of one model, so name those of one")
    try:
        write_report(series_page(documents, made=utc_now()), output, overwrite=overwrite)
    except ValueError as error:
        raise ConfigError(f"{results[0]}: {error}; evaluate again") from None


def _files(results: Sequence[str]) -> list[Path]:
    """The files that are named. ConfigError with every folder without results."""
    files: list[Path] = []
    problems: list[str] = []
    for word in results:
        path = expanded(word)
        found = (list_results(path) or list_results(path / "eval")) if path.is_dir() else [path]
        files += found
        if not found:
            problems.append(
                f"{word}: no results eval_results_*.json in this folder or its folder eval;"
                " evaluate first: moe-harness eval CHECKPOINT"
            )
    if problems:
        raise ConfigError(problems)
    return files

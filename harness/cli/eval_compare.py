"""`moe-harness eval compare`: results of evaluations side by side."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import click

from harness.compare.metrics import ResultDocument
from harness.disk import expanded
from harness.errors import ConfigError, EnvironmentProblem
from harness.evaluation.result_file import list_results, read_result


@click.command("compare")
@click.argument("results", metavar="RESULT…", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print every metric of every layer as JSON.")
@click.option("--force", is_flag=True, help="Compare evaluations that are not alike, and say so.")
def command(results: Sequence[str], as_json: bool, force: bool) -> None:
    """Compare the first result with each of the others: which is better, and whether beyond the noise.

    A RESULT is a file eval_results_*.json, or a folder, which stands for the newest of its own or of the folder eval
    in it. One folder alone stands for its two newest. Evaluations of other data, tasks or lengths are refused.
    """
    _require_scipy()
    from harness.compare.evaluations import compare_evaluations
    from harness.report.text.evaluation_comparison import comparison_data, show_comparison

    found = compare_evaluations(_read(_files(results)), force=force)
    click.echo(json.dumps(comparison_data(found), indent=2, ensure_ascii=False) if as_json else show_comparison(found))


def _require_scipy() -> None:
    if find_spec("scipy") is None:
        raise EnvironmentProblem(
            "eval compare needs scipy; run tools/setup.sh eval in a checkout, or pip install 'moe-harness[eval]'"
        )


def _files(results: Sequence[str]) -> list[Path]:
    """The files that are named. ConfigError with every folder that has too few, and for one file alone."""
    paths = [expanded(word) for word in results]
    wanted = 2 if len(paths) == 1 else 1
    files: list[Path] = []
    problems: list[str] = []
    for word, path in zip(results, paths, strict=True):
        if not path.is_dir():
            files.append(path)
            continue
        newest = (list_results(path) or list_results(path / "eval"))[-wanted:]
        files += newest
        if len(newest) < wanted:
            problems.append(
                f"{word}: {len(newest)} results eval_results_*.json in this folder or its folder eval, not {wanted};"
                " evaluate first: moe-harness eval CHECKPOINT"
            )
    if not problems and len(files) < 2:
        problems.append(f"{results[0]}: one result is no comparison; name two or more, or a folder of two or more")
    if problems:
        raise ConfigError(problems)
    return files


def _read(files: Sequence[Path]) -> list[ResultDocument]:
    """The documents. ConfigError with every file that is none."""
    documents: list[ResultDocument] = []
    problems: list[str] = []
    for path in files:
        try:
            documents.append(read_result(path))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return documents

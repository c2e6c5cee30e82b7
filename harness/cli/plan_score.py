"""`moe-harness plan score`: predictions beside published results."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import click

from harness.cli import screen
from harness.cost.constants import Constants
from harness.plan.published.rows import PublishedRow, read_rows
from harness.plan.score import AIM_MEDIAN, AIM_MEMORY, AIM_P90, Accuracy, ScoredRow, accuracy, measured_rows, score
from harness.report.text.plain_table import MISSING, plain_table

WORST = 10


@click.command("score")
@click.option(
    "--published",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another file with the columns of the one that ships.",
)
@click.option("--json", "as_json", is_flag=True, help="Print every row as JSON.")
@click.option(
    "--cross-validate",
    is_flag=True,
    help="Also fit anew without each model, and without random jobs, and score those (needs scipy).",
)
@click.option("--fit", "as_fit", is_flag=True, help="Print the constants that these rows ask for (needs scipy).")
def command(published: Path | None, as_json: bool, cross_validate: bool, as_fit: bool) -> None:
    """Predicted over measured for every usable published row, by GPU and model."""
    rows = read_rows(published) if published else read_rows()
    if as_fit:
        _show_fit(rows)
        return
    scored = score(rows)
    if as_json:
        click.echo(json.dumps([_data(row) for row in scored], indent=2))
        return
    click.echo("\n\n".join(_scoreboard(scored)))
    if cross_validate:
        click.echo(f"\n{_cross_validation(rows)}")


def _data(scored: ScoredRow) -> dict[str, object]:
    row = scored.row
    return {
        "line": row.line,
        "source": row.source,
        "model": row.model,
        "gpu": row.gpu,
        "n_gpus": row.n_gpus,
        "predicted_tflops": scored.predicted_tflops,
        "measured_tflops": scored.measured_tflops,
        "predicted_mem_gb": scored.predicted_mem_gb,
        "measured_mem_gb": scored.measured_mem_gb,
        "left_out": scored.left_out,
        "assumed": list(scored.assumed),
    }


def _scoreboard(scored: Sequence[ScoredRow]) -> Iterator[str]:
    """Tables and lines of the scoreboard, top to bottom."""
    speed = [(row, error) for row in scored if row.left_out is None and (error := row.tflops_error) is not None]
    memory = [(row, error) for row in scored if row.left_out is None and (error := row.memory_error) is not None]
    if speed:
        yield plain_table([*_groups(speed), _accuracy_row("all", "", accuracy([error for _, error in speed]))], SPEED)
        yield f"aim for TFLOP/s/GPU: median {AIM_MEDIAN:.0%}, p90 {AIM_P90:.0%}"
        yield "worst:\n" + plain_table([_worst_row(row, error) for row, error in _worst(speed)], WORST_HEADERS)
    if memory:
        yield plain_table([_memory_row(row, error) for row, error in memory], MEMORY)
        yield f"memory: {_sentence(accuracy([error for _, error in memory]))}; aim: {AIM_MEMORY:.0%}"
    left = [row for row in scored if row.left_out is not None]
    if left:
        yield "left out:\n" + plain_table([(f"line {row.row.line}", row.row.model, row.left_out or "") for row in left])


SPEED = ("GPU", "model", "rows", "median error", "p90", "bias")
MEMORY = ("line", "model", "GPU", "predicted GB", "measured GB", "error")
WORST_HEADERS = ("line", "model", "GPU", "predicted", "measured", "error", "source")

type Errors = Sequence[tuple[ScoredRow, float]]


def _groups(errors: Errors) -> Iterator[tuple[str, ...]]:
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row, error in errors:
        groups[row.row.gpu, row.row.model].append(error)
    for (gpu, model), found in sorted(groups.items()):
        yield _accuracy_row(gpu, model, accuracy(found))


def _accuracy_row(gpu: str, model: str, found: Accuracy) -> tuple[str, ...]:
    return gpu, model, str(found.rows), f"{found.median:.1%}", f"{found.p90:.1%}", f"{found.bias:+.1%}"


def _worst(errors: Errors) -> Errors:
    return sorted(errors, key=lambda pair: -abs(pair[1]))[:WORST]


def _worst_row(scored: ScoredRow, error: float) -> tuple[str, ...]:
    row = scored.row
    figures = (_number(scored.predicted_tflops), _number(scored.measured_tflops), f"{error:+.0%}")
    return str(row.line), row.model, row.gpu, *figures, row.source[:60]


def _memory_row(scored: ScoredRow, error: float) -> tuple[str, ...]:
    row = scored.row
    figures = (_number(scored.predicted_mem_gb), _number(scored.measured_mem_gb), f"{error:+.1%}")
    return str(row.line), row.model, row.gpu, *figures


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1f}"


def _sentence(found: Accuracy) -> str:
    return f"{found.rows} rows, median error {found.median:.1%}, p90 {found.p90:.1%}, bias {found.bias:+.1%}"


def _cross_validation(rows: Sequence[PublishedRow]) -> str:
    from harness.plan.cross_validation import left_out_errors, split_errors

    usable = measured_rows(rows)
    screen.progress("fitting once without each model")
    errors = left_out_errors(usable)
    every = [error for found in errors.values() for error in found]
    table = [_accuracy_row("", model, accuracy(found)) for model, found in errors.items()]
    table.append(_accuracy_row("", "all", accuracy(every)))
    screen.progress("fitting ten times without 30% of the jobs, drawn at random")
    drawn = accuracy(split_errors(usable))
    return (
        f"each model, by constants fitted to the others:\n{plain_table([row[1:] for row in table], SPEED[1:])}\n\n"
        f"jobs held out at random, 30% of them in ten draws: {_sentence(drawn)}"
    )


def _show_fit(rows: Sequence[PublishedRow]) -> None:
    from harness.plan.cross_validation import fitted

    found = fitted(measured_rows(rows))
    click.echo(plain_table([_constant_row(found, item.name) for item in fields(Constants)], CONSTANTS))


CONSTANTS = ("constant", "fitted", "prior", "meaning")


def _constant_row(found: Constants, name: str) -> tuple[str, ...]:
    metadata = next(item.metadata for item in fields(Constants) if item.name == name)
    return name, f"{getattr(found, name):.3g}", f"{metadata['prior']:.3g}", metadata["meaning"]

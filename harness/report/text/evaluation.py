"""Show the result of an evaluation: as rows, in the list of runs, and as data."""

from dataclasses import asdict
from typing import Any

from harness.evaluation.result import CheckpointFigures, EvaluationResult, EvaluationStep
from harness.report.text.kind_view import KindView


def _rows(result: EvaluationResult) -> list[tuple[str, str]]:
    total = result.total or len(result.evaluated)
    rows = [("checkpoints", f"{len(result.evaluated)} of {total} evaluated")]
    for number, figures in enumerate(result.evaluated, 1):
        rows.append((f"{number}", EvaluationStep(number=number, total=total, figures=figures).text))
        rows.append(("result", figures.output_file))
    return rows


def _cells(result: EvaluationResult) -> dict[str, str]:
    last = result.evaluated[-1] if result.evaluated else None
    return {"loss": f"{last.loss:.4f}"} if last and last.loss is not None else {}


def _data(result: EvaluationResult | None) -> dict[str, Any]:
    return {
        "checkpoints": result.total if result else None,
        "evaluated": [_figures(figures) for figures in result.evaluated] if result else None,
    }


def _figures(figures: CheckpointFigures) -> dict[str, Any]:
    return {**asdict(figures), "scores": dict(figures.scores)}


EVALUATION_VIEW = KindView(rows=_rows, cells=_cells, data=_data)

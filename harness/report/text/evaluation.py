"""Show the result of an evaluation: as rows, in the list of runs, and as data."""

from harness.evaluation.result import EvaluationResult, EvaluationStep
from harness.report.text.kind_view import KindView


def _rows(result: EvaluationResult) -> list[tuple[str, str]]:
    total = result.total or len(result.evaluated)
    rows = [("checkpoints", f"{len(result.evaluated)} of {total} evaluated")]
    for number, figures in enumerate(result.evaluated, 1):
        rows.append((f"{number}", EvaluationStep(number=number, total=total, figures=figures).text))
        rows.append(("result", figures.output_file))
    return rows


EVALUATION_VIEW = KindView(rows=_rows, data=("checkpoints", "evaluated"))

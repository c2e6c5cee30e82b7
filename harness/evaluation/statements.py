"""What an evaluation states of itself in its run's log."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.evaluation.headline import figures_of
from harness.evaluation.spec import EvaluationSpec

DATA = "moe-harness: evaluation data "
EVALUATING, EVALUATED = "moe-harness: evaluating ", "moe-harness: evaluated "
"""Each begins a line that goes on with a JSON object: what is read, which checkpoint is measured, its result."""


def begun(spec: EvaluationSpec, number: int) -> dict[str, Any]:
    """What is stated as the `number`th checkpoint is begun, from 1."""
    checkpoint = spec.checkpoints[number - 1]
    of_series = {"number": number, "total": len(spec.checkpoints)}
    return {"checkpoint": checkpoint.folder, "step": checkpoint.step, **of_series}


def finished(document: Mapping[str, Any], path: Path, *, kept: bool) -> dict[str, Any]:
    """What is stated of a result; `kept` says that it was there before."""
    return {**asdict(figures_of(document, str(path))), "kept": kept}

"""The flat figures of an evaluation: its columns among all runs."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness.config.provenance import Resolved
from harness.evaluation.result import CheckpointFigures, EvaluationResult

_OF_CHECKPOINT = {
    "checkpoint": "VARCHAR",
    "output_file": "VARCHAR",
    "step": "BIGINT",
    "loss": "DOUBLE",
    "perplexity": "DOUBLE",
    "tokens": "BIGINT",
    "gini": "DOUBLE",
    "cv": "DOUBLE",
    "utilisation": "DOUBLE",
    "latency_ms": "DOUBLE",
    "tokens_per_s": "DOUBLE",
    "scores": "MAP(VARCHAR, DOUBLE)",
    "walltime_s": "DOUBLE",
}
EVALUATION_TYPES: dict[str, Any] = {
    "checkpoints": "BIGINT",
    **_OF_CHECKPOINT,
    "evaluated": [_OF_CHECKPOINT],
}


def evaluation_columns(_resolved: Resolved, result: EvaluationResult | None) -> Mapping[str, Any]:
    """The values by column: those of the last checkpoint, and of all of them in `evaluated`."""
    if result is None:
        return {}
    evaluated = [_values(figures) for figures in result.evaluated]
    return {**(evaluated[-1] if evaluated else {}), "checkpoints": result.total, "evaluated": evaluated}


def _values(figures: CheckpointFigures) -> dict[str, Any]:
    return {**asdict(figures), "scores": dict(figures.scores)}

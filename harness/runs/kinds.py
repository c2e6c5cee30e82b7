"""The kinds of run. A new one is a module of its own and an entry here, and one in `report/text/kind_views.py`."""

from collections.abc import Mapping
from typing import Any

from harness.config.provenance import Resolved
from harness.conversion.columns import CONVERSION_TYPES, conversion_columns
from harness.conversion.result import ConversionResult
from harness.evaluation.columns import EVALUATION_TYPES, evaluation_columns
from harness.evaluation.result import EvaluationResult
from harness.runs.kind import LogReader, Prediction, RunKind
from harness.training.columns import TRAINING_TYPES, training_columns
from harness.training.result import TrainingResult


def _initial_training_result(resolved: Resolved, predicted: Prediction) -> TrainingResult:
    from harness.training.asked import initial_result  # imported late: whoever lists runs begins none

    return initial_result(resolved, predicted)


def _training_reader(resolved: Resolved, result: TrainingResult | None) -> LogReader:
    from harness.training.log_reader import TrainingLogReader  # imported late: whoever lists runs reads no log

    return TrainingLogReader(resolved, result)


TRAINING = RunKind(
    name="training",
    result=TrainingResult,
    initial_result=_initial_training_result,
    reader=_training_reader,
    total_steps=lambda resolved: resolved.megatron_args.integer("--train-iters") or None,
    column_types=TRAINING_TYPES,
    column_values=training_columns,
)


def _conversion_reader(_resolved: Resolved, result: ConversionResult | None) -> LogReader:
    from harness.conversion.log_reader import ConversionLogReader  # imported late, as for training

    return ConversionLogReader(result)


CONVERSION = RunKind(
    name="conversion",
    result=ConversionResult,
    initial_result=lambda _resolved, _predicted: None,
    reader=_conversion_reader,
    total_steps=lambda _resolved: None,
    column_types=CONVERSION_TYPES,
    column_values=conversion_columns,
)


def _evaluation_reader(_resolved: Resolved, _result: EvaluationResult | None) -> LogReader:
    from harness.evaluation.log_reader import EvaluationLogReader  # imported late, as for training

    return EvaluationLogReader()


EVALUATION = RunKind(
    name="evaluation",
    result=EvaluationResult,
    initial_result=lambda _resolved, _predicted: None,
    reader=_evaluation_reader,
    total_steps=lambda _resolved: None,
    column_types=EVALUATION_TYPES,
    column_values=evaluation_columns,
)

KINDS: Mapping[str, RunKind[Any]] = {kind.name: kind for kind in (TRAINING, CONVERSION, EVALUATION)}
"""Every kind by its name."""

"""The view of every kind of run, by the kind's name."""

from collections.abc import Mapping
from typing import Any

from harness.report.text.conversion import CONVERSION_VIEW
from harness.report.text.evaluation import EVALUATION_VIEW
from harness.report.text.kind_view import KindView
from harness.report.text.training import TRAINING_VIEW
from harness.runs.kinds import CONVERSION, EVALUATION, TRAINING

VIEWS: Mapping[str, KindView[Any]] = {
    TRAINING.name: TRAINING_VIEW,
    CONVERSION.name: CONVERSION_VIEW,
    EVALUATION.name: EVALUATION_VIEW,
}

"""The view of every kind of run, by the kind's name."""

from collections.abc import Mapping
from typing import Any

from harness.report.text.kind_view import KindView
from harness.report.text.training import TRAINING_VIEW
from harness.runs.kinds import TRAINING

VIEWS: Mapping[str, KindView[Any]] = {TRAINING.name: TRAINING_VIEW}

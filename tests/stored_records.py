"""The records of the fixtures, and changed ones."""

from dataclasses import replace
from pathlib import Path

from harness.runs.record import RunRecord
from harness.runs.record_file import load
from harness.training.result import TrainingResult, training_result

RECORDS = Path(__file__).parent / "fixtures" / "records"


def load_version(version: int) -> RunRecord:
    """The record that this version of the schema wrote."""
    return load(RECORDS / f"version-{version}.json")


def result_of(record: RunRecord) -> TrainingResult:
    """The result of a training run's record."""
    result = training_result(record.result)
    assert result is not None
    return result


def with_result(record: RunRecord, **changes: object) -> RunRecord:
    """The record with another result of its training."""
    return replace(record, result=replace(result_of(record), **changes))  # type: ignore[arg-type]

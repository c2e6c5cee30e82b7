"""A training run with all that a report shows of it: record, steps, and evaluations of its checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.compare.metrics import ResultDocument
from harness.errors import ConfigError
from harness.evaluation.result_file import list_results, read_result
from harness.runs.json_codec import Mismatch, decode
from harness.runs.record import UNFINISHED, RunRecord
from harness.runs.samples_file import UnreadableSamples, load_samples
from harness.runs.store import StoredRun
from harness.training.log.samples import StepSample
from harness.training.result import TrainingResult, training_result


@dataclass(frozen=True, kw_only=True)
class ReportedRun:
    """A run; `evaluations` are the oldest first, and `problems` say what of it cannot be read."""

    folder: Path
    record: RunRecord
    samples: tuple[StepSample, ...] = ()
    evaluations: tuple[ResultDocument, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def result(self) -> TrainingResult | None:
        """What came of the training."""
        return training_result(self.record.result)

    @property
    def comment(self) -> str:
        """What its user called it: the point of its sweep, or its comment; empty without one."""
        item = self.record.campaign.item if self.record.campaign else ""
        return item or self.record.resolved.text("COMMENT")


def read_reported_run(run: StoredRun, read: Sequence[StepSample] | None = None) -> ReportedRun:
    """The run; `read` are the samples just read of the log of one that has not ended. ConfigError for another kind."""
    if run.record.kind != "training":
        other = "moe-harness eval report shows evaluations" if run.record.kind == "evaluation" else "name others"
        raise ConfigError(f"{run.record.run_id}: reports are of training, and this is {run.record.kind}; {other}")
    problems: list[str] = []
    return ReportedRun(
        folder=run.folder,
        record=run.record,
        samples=tuple(read) if read is not None else _samples(run, problems),
        evaluations=tuple(read_evaluations(run.folder / "eval", problems)),
        problems=(*_state(run.record), *problems),
    )


def read_evaluations(folder: Path, problems: list[str]) -> list[ResultDocument]:
    """The results in a folder, the oldest first; what cannot be read is told in `problems`."""
    documents: list[ResultDocument] = []
    for path in list_results(folder):
        try:
            documents.append(read_result(path))
        except ConfigError as error:
            problems += error.problems
    return documents


def run_labels(runs: Sequence[ReportedRun]) -> list[str]:
    """A short name of each: its comment where no other has that, else its id."""
    comments = [run.comment for run in runs]
    return [run.comment if run.comment and comments.count(run.comment) == 1 else run.record.run_id for run in runs]


def _samples(run: StoredRun, problems: list[str]) -> tuple[StepSample, ...]:
    try:
        values: list[Any] = load_samples(run.paths)
        return tuple(decode(StepSample, value) for value in values)
    except UnreadableSamples as error:
        problems.append(f"{error}; its curves are left out")
    except Mismatch as error:
        problems.append(f"{run.paths.samples}: these samples are damaged: {error}; its curves are left out")
    return ()


def _state(record: RunRecord) -> list[str]:
    """What a reader must know of a run that did not end well, or not yet."""
    if record.status in UNFINISHED:
        return [f"{record.run_id} is {record.status}: its figures are those of the steps so far"]
    if record.status == "completed":
        return []
    cause = f": {record.error.cause.text}" if record.error and record.error.cause else ""
    return [f"{record.run_id} is {record.status}{cause}"]

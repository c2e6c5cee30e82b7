"""An opened run, run on this node with its record."""

from collections.abc import Callable

from harness.config.provenance import Resolved
from harness.errors import Interrupted
from harness.launch.run import Outcome, Run, run_here
from harness.launch.supervisor_lock import supervising
from harness.runs import recorder
from harness.runs.cancellation import term_as_ctrl_c
from harness.runs.kind import Prediction, Step
from harness.runs.log_reading import reader_of
from harness.runs.record import CampaignItem, RunRecord
from harness.runs.reporter import Reporter

type OnStep = Callable[[Step], None]
"""Takes each step that the run's log has."""


def run_local(
    run: Run,
    resolved: Resolved,
    *,
    predicted: Prediction = None,
    campaign: CampaignItem | None = None,
    reporter: Reporter,
    on_step: OnStep,
) -> RunRecord:
    """Run on this node to the end, or to Ctrl-C; returns the finished record."""
    ranks = run.job.resources.ranks
    outcome = Outcome(status="failed", exit_code=1)

    def on_line(line: str) -> None:
        if step := reader.feed(line):
            on_step(step)

    with supervising(run.paths), term_as_ctrl_c():
        record = recorder.begin(run, resolved, predicted=predicted, campaign=campaign)
        reader = reader_of(record)
        try:
            reporter.progress(f"{resolved.text('MODEL')} on {ranks} ranks; log: {run.paths.log}")
            outcome = run_here(run, on_line)
        except KeyboardInterrupt:  # before the ranks were there, or after
            outcome = Outcome(status="cancelled", exit_code=Interrupted.exit_code)
            raise
        finally:  # whatever happens to the supervisor, no record says "running" for ever
            record = recorder.finish(run.paths, record, reader, outcome)
    return record


def report_failure(record: RunRecord, reporter: Reporter) -> None:
    """Report which rank failed, and its own error text; nothing of a run that did not fail."""
    error = record.error
    if record.status != "failed" or error is None:
        return
    rank = "the launcher" if error.rank is None else f"rank {error.rank}"
    reporter.error(f"{rank} ended with exit code {error.exit_code}:")
    reporter.progress(error.traceback or "")

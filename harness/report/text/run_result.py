"""The text that ends a run: its table, the first failing rank's traceback, and where the record is."""

from harness.report.text.printable import printable
from harness.report.text.run_table import show_summary
from harness.runs.store import StoredRun


def show_result(run: StoredRun, job: str | None = None) -> str:
    """`job` is Slurm's state of it where it has not ended."""
    traceback = run.record.error.traceback if run.record.error else None
    text = f"\n\n{printable(traceback)}" if traceback else ""
    return f"{show_summary(run.record, job)}{text}\nrecord: {run.paths.record.absolute()}"

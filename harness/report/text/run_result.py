"""How an ended run is told: its table, the first failing rank's words, and where the record is."""

from harness.report.text.printable import printable
from harness.report.text.table import show_summary
from harness.runs.store import StoredRun


def show_result(run: StoredRun, job: str | None = None) -> str:
    """`job` is what Slurm says of it where it has not ended."""
    traceback = run.record.error.traceback if run.record.error else None
    words = f"\n\n{printable(traceback)}" if traceback else ""
    return f"{show_summary(run.record, job)}{words}\nrecord: {run.paths.record.absolute()}"

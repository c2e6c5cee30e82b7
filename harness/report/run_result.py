"""How an ended run is told: its table, the first failing rank's words, and where the record is."""

from harness.report.table import show_summary
from harness.results.record import RunRecord


def show_result(record: RunRecord, job: str | None = None) -> str:
    """`job` is what Slurm says of it where it has not ended."""
    traceback = record.error.traceback if record.error else None
    words = f"\n\n{traceback}" if traceback else ""
    return f"{show_summary(record, job)}{words}\nrecord: {record.paths.get('record', '')}"

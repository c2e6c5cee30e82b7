"""A run of any kind as a table of all that is known of it."""

from collections.abc import Sequence

from harness.report.text.kind_views import VIEWS
from harness.report.text.plain_table import MISSING, plain_table
from harness.runs.record import Attempt, RunRecord


def show_summary(record: RunRecord, job: str | None = None) -> str:
    """The table of results that ends a run; `job` is Slurm's state of it where it has not ended."""
    header = [("run", record.run_id), ("status", record.status), *_job(record, job)]
    return plain_table([*header, *_result(record), *_attempts(record.attempts), *_cause(record)])


def _job(record: RunRecord, state: str | None) -> list[tuple[str, str]]:
    """The Slurm job, where there is one."""
    if record.job.job_id is None:
        return []
    cluster = f" on {record.job.cluster}" if record.job.cluster else ""
    return [("job", f"{record.job.job_id}{cluster}{f', {state}' if state else ''}")]


def _result(record: RunRecord) -> Sequence[tuple[str, str]]:
    return [("results", MISSING)] if record.result is None else VIEWS[record.kind].rows(record.result)


def _attempts(attempts: Sequence[Attempt]) -> list[tuple[str, str]]:
    """A row for every attempt, if there are several or the one failed."""
    if len(attempts) == 1 and attempts[0].state in ("COMPLETED", "RUNNING"):
        return []
    from harness.report.text.job import show_attempt

    return [(f"attempt {attempt.number}", show_attempt(attempt)) for attempt in attempts]


def _cause(record: RunRecord) -> list[tuple[str, str]]:
    if record.error is None:
        return []
    from harness.report.text.job import show_cause

    return list(show_cause(record))

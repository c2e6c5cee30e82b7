"""An ended record that the run's own facts contradict is under way again, so that its status is derived once more.

Where nobody looked at the right time, or where Slurm could not tell, a record may have been closed too early.
"""

from dataclasses import replace

from harness.launch.attempts import AttemptFacts, last_attempt
from harness.launch.rundir import RunPaths
from harness.runs.record import UNFINISHED, RunRecord, epoch_of, utc_at

_NEWS_S = 60
"""How much younger than a lost run's end its log must be to be news: clocks of nodes differ."""


def invalidated(record: RunRecord, paths: RunPaths) -> RunRecord:
    """The record, under way and with the newest start's job where the run's facts say more than it does."""
    if record.job.on != "slurm":
        return record
    last = last_attempt(paths)
    if last and last.job_id and last.job_id != record.job.job_id and _is_new(last, record):
        # `sbatch script.sh` by hand gave the run another job.
        record = replace(record, job=replace(record.job, job_id=last.job_id, cluster=last.cluster))
    if record.status in UNFINISHED or not _says_more(record, paths, last):
        return record
    return replace(record, status="running", ended=None, error=None)


def _is_new(last: AttemptFacts, record: RunRecord) -> bool:
    return last.started_s is not None and utc_at(last.started_s) not in {it.started for it in record.attempts}


def _says_more(record: RunRecord, paths: RunPaths, last: AttemptFacts | None) -> bool:
    if last and _is_new(last, record):
        return True
    if record.status != "completed" and paths.finished.exists():
        return True
    cause = record.error.cause if record.error else None
    if cause is None:
        return False
    from harness.runs.triage.internal_causes import LOST  # imported late: most runs have ended well

    if cause.name != LOST.name:
        return False
    return (last is not None and last.exit_code is not None) or _log_has_grown(record, paths)


def _log_has_grown(record: RunRecord, paths: RunPaths) -> bool:
    try:
        return record.ended is not None and paths.log.stat().st_mtime > epoch_of(record.ended) + _NEWS_S
    except OSError:
        return False

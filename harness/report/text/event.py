"""Format the events of followed runs."""

from harness.report.text.job import show_attempt, show_job
from harness.report.text.step import step_text
from harness.runs.watch.watch import Ended, Event, NeverStarts, Noticed, SlurmSilent, StateChanged, Stepped


def event_text(event: Event) -> str:
    """Format an event as one line, without the name of its run."""
    match event:
        case Stepped(step=step):
            return step_text(step)
        case StateChanged():
            return _state(event)
        case Ended(run=run):
            return f"ended, {run.record.status}; run: {run.folder}"
        case NeverStarts(job=job):
            return f"notice: it can never start; moe-harness runs cancel {job.job_id} ends it"
        case Noticed(text=text):
            return f"notice: {text}"
        case SlurmSilent(why=why):
            return f"notice: Slurm does not answer ({why}); following the logs" if why else "Slurm answers again"


def _state(event: StateChanged) -> str:
    """The job's state; from the second attempt on also how the one before ended."""
    record, job = event.run.record, event.job
    name = f"job {record.job.job_id} " if record.job.job_id else ""
    state = f"{name}{show_job(job) if job else record.status}"
    before = record.attempts[:-1]
    return f"{state}; attempt {len(before)}, after {show_attempt(before[-1])}" if before else state

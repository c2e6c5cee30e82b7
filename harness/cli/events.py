"""What happens to the runs that are followed, in words."""

from harness.cli.steps import step_words
from harness.report.text.job import show_attempt, show_job
from harness.runs.watch.watch import Ended, Event, NeverStarts, Noticed, SlurmSilent, StateChanged, Stepped


def told(event: Event) -> str:
    """One line; which run it is about is left to the caller."""
    match event:
        case Stepped(sample=sample):
            return step_words(sample)
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
    """The job's state; from the second attempt on also what became of the one before."""
    record, job = event.run.record, event.job
    named = f"job {record.job.job_id} " if record.job.job_id else ""
    said = f"{named}{show_job(job) if job else record.status}"
    before = record.attempts[:-1]
    return f"{said}; attempt {len(before)}, after {show_attempt(before[-1])}" if before else said

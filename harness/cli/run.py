"""A planned launch, run here and followed, or submitted."""

from collections.abc import Mapping

import click

from harness.cli import request, screen
from harness.cli.steps import Steps
from harness.config.provenance import Resolved
from harness.launch.run import Outcome, Run, run_here
from harness.launch.script.render import RenderedJob
from harness.launch.supervisor_lock import supervising
from harness.report.text.table import show_summary
from harness.runs import recorder
from harness.runs.measured import parser_of
from harness.runs.record import RunRecord, SweepPoint
from harness.training.open_training import open_training


def run_launch(
    rendered: RenderedJob, resolved: Resolved, predicted: Mapping[str, float] | None = None, *, keep: bool = False
) -> int:
    """Open the run's folder and start the job; the exit code to leave with. Its record keeps what was `predicted`.

    `keep`: a job that Slurm can never start stays in its queue.
    """
    run = open_training(resolved, rendered)
    request.say_notices(run.notices)
    if run.job.executor == "slurm":
        from harness.cli.submit import submit_launch

        return submit_launch(run, resolved, predicted, keep=keep)
    return _run_here(run, resolved, predicted)


def _run_here(run: Run, resolved: Resolved, predicted: Mapping[str, float] | None) -> int:
    record, outcome = run_recorded(run, resolved, predicted)
    click.echo(show_summary(record))
    click.echo(f"record: {run.paths.record}")
    say_failure(outcome)
    return 0 if outcome.status == "completed" else 1


def run_recorded(
    run: Run, resolved: Resolved, predicted: Mapping[str, float] | None, sweep: SweepPoint | None = None
) -> tuple[RunRecord, Outcome]:
    """Run on this node to the end, each step on the screen; the record, and what ended it."""
    ranks = run.job.resources.ranks
    outcome = Outcome(status="failed", exit_code=1)
    steps = Steps(total=resolved.megatron_args.integer("--train-iters"))

    def on_line(line: str) -> None:
        if sample := parser.feed(line):
            steps.show(sample)

    with supervising(run.paths):
        record = recorder.begin(run, resolved, predicted=predicted, sweep=sweep)
        parser = parser_of(record)
        try:
            screen.progress(f"{resolved.text('MODEL')} on {ranks} ranks; log: {run.paths.log}")
            with steps:
                outcome = run_here(run, on_line)
        finally:  # whatever happens to the supervisor, no record says "running" for ever
            record = recorder.finish(run.paths, record, parser.log(), outcome)
    return record, outcome


def say_failure(outcome: Outcome) -> None:
    """Who failed, and what it had to say."""
    if outcome.error:
        rank = "the launcher" if outcome.error.rank is None else f"rank {outcome.error.rank}"
        screen.error(f"{rank} ended with exit code {outcome.error.exit_code or outcome.exit_code}:")
        screen.progress(outcome.error.text)

"""A planned launch, run here and followed, or submitted."""

from collections.abc import Mapping

import click

from harness.cli import request, screen
from harness.cli.follow import Follower
from harness.config.provenance import Resolved
from harness.launch.plan import Launch
from harness.launch.run import Outcome, Run, open_run, run_here, submit
from harness.report.table import show_summary
from harness.results import recorder
from harness.results.log_parser import LogParser


def run_launch(launch: Launch, resolved: Resolved, predicted: Mapping[str, float] | None = None) -> int:
    """Open the run's folder and start the job; the exit code to leave with. Its record keeps what was `predicted`."""
    run = open_run(resolved, launch)
    request.say_notices(run.notices)
    if run.spec.place == "slurm":
        return _submit(run, resolved, predicted)
    return _run_here(run, resolved, predicted)


def _submit(run: Run, resolved: Resolved, predicted: Mapping[str, float] | None) -> int:
    job = submit(run)
    recorder.begin(run, resolved, status="submitted", predicted=predicted)
    click.echo(f"submitted job {job.job_id}{f' on {job.cluster}' if job.cluster else ''}")
    click.echo(f"run: {run.paths.root}")
    return 0


def _run_here(run: Run, resolved: Resolved, predicted: Mapping[str, float] | None) -> int:
    ranks = run.spec.nodes * run.spec.gpus_per_node
    flags = resolved.megatron_args
    parser = LogParser(seq_len=flags.integer("--seq-length"), world_size=ranks)
    outcome = Outcome(status="failed", exit_code=1)
    record = recorder.begin(run, resolved, predicted=predicted)
    try:
        screen.progress(f"{resolved.text('MODEL')} on {ranks} ranks; log: {run.paths.log}")
        with Follower(parser, total=flags.integer("--train-iters")) as follower:
            outcome = run_here(run, follower.feed)
    finally:  # whatever happens to the supervisor, no record says "running" for ever
        record = recorder.finish(record, parser.log(), outcome)
    click.echo(show_summary(record))
    click.echo(f"record: {run.paths.record}")
    return _exit_code(outcome)


def _exit_code(outcome: Outcome) -> int:
    if outcome.status == "done":
        return 0
    if outcome.error:
        rank = "the launcher" if outcome.error.rank is None else f"rank {outcome.error.rank}"
        screen.error(f"{rank} ended with exit code {outcome.error.exit_code or outcome.exit_code}:")
        screen.progress(outcome.error.text)
    return 1

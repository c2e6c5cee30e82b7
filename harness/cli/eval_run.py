"""Carry out an evaluation, unless its results are there: print its script, submit it, or run it here and show them."""

from collections.abc import Sequence
from typing import NamedTuple

import click

from harness.cli import request, screen
from harness.cli.eval_asked import read_asked
from harness.cli.eval_options import EvalOptions
from harness.cli.eval_show import show_results
from harness.config.provenance import Resolved
from harness.errors import ConfigError, Interrupted
from harness.evaluation.hf_job import hf_job, hf_spec, require_hf
from harness.evaluation.job import evaluation_job
from harness.evaluation.result_file import find_result
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec
from harness.launch.embedded_engine import require_engine
from harness.launch.executor import Executor
from harness.launch.job import Job
from harness.launch.parse_job import container_of
from harness.launch.run import open_run
from harness.runs.render_job import render_job

_EXIT_CODES = {"completed": 0, "cancelled": Interrupted.exit_code}
"""What the command ends with, by the run's status: one that was stopped can go on."""


class Evaluation(NamedTuple):
    """An evaluation ready to run: its configuration, what it measures, and its job."""

    resolved: Resolved
    spec: EvaluationSpec
    job: Job


def prepare(
    ctx: click.Context,
    names: Sequence[str],
    typed: Sequence[str],
    executor: Executor,
    options: EvalOptions,
    slurm_options: Sequence[str],
) -> Evaluation:
    """Find the checkpoints, resolve the configuration and check both. ConfigError lists all that is wrong."""
    resolved, spec, problems = read_asked(ctx, names, typed, executor, options)
    try:
        if options.backend == "hf":
            spec = hf_spec(spec)
            job = hf_job(resolved, executor, spec, slurm_options=slurm_options)
            if container_of(resolved, executor):
                screen.notice("--backend hf runs outside CONTAINER_IMAGE, by this command's own Python")
        else:
            job = evaluation_job(resolved, executor, spec, slurm_options=slurm_options)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    return Evaluation(resolved=resolved, spec=spec, job=job)


def carry_out(evaluation: Evaluation, *, dry_run: bool, keep: bool) -> int:
    """Run or submit it, but for what is there already; returns the exit code."""
    resolved, spec, job = evaluation
    request.show_planned_notices(resolved)
    if dry_run:
        click.echo(render_job(resolved, job).script.encode(errors="surrogateescape"), nl=False)
        return 0
    if not _missing(spec):
        screen.notice(f"evaluated already, results in {spec.output_dir}; --again measures anew")
        show_results(spec)
        return 0
    run = open_run(resolved, render_job(resolved, job), check=lambda: _check(job))
    request.show_notices(run.notices)
    if job.executor == "slurm":
        from harness.cli.submit import submit_and_show

        return submit_and_show(run, resolved, keep=keep)
    from harness.cli.steps import Steps
    from harness.runs.local_run import report_failure, run_local

    with Steps(total=len(spec.checkpoints)) as steps:
        record = run_local(run, resolved, reporter=screen, on_step=steps.show)
    report_failure(record, screen)
    if record.status == "completed":
        show_results(spec)
    elif spec.checkpoints != tuple(missing := _missing(spec)):
        there = len(spec.checkpoints) - len(missing)
        screen.notice(f"{there} of {len(spec.checkpoints)} results are there and stay; the same command does the rest")
    click.echo(f"record: {run.paths.record}")
    return _EXIT_CODES.get(record.status, 1)


def _missing(spec: EvaluationSpec) -> list[EvaluatedCheckpoint]:
    """The checkpoints that no result is there of."""
    return [checkpoint for checkpoint in spec.checkpoints if find_result(spec, checkpoint) is None]


def _check(job: Job) -> list[str]:
    if not job.program.distributed:
        require_hf()
    elif job.container is None:
        require_engine()
    return []

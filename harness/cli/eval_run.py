"""Carry out an evaluation, unless its results are there: print its script, submit it, or run it here and show them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from harness.cli import request, screen
from harness.cli.eval_configuration import evaluation_configuration
from harness.cli.eval_options import USUAL_BATCH, EvalOptions
from harness.cli.eval_subject import Subject, find_subject
from harness.config.provenance import Resolved
from harness.config.settings import as_texts
from harness.disk import write_whole
from harness.errors import ConfigError, EnvironmentProblem, Interrupted
from harness.evaluation.checkpoints import fingerprint
from harness.evaluation.flags import evaluation_flags
from harness.evaluation.hf_job import hf_job, hf_spec, require_hf
from harness.evaluation.job import evaluation_job
from harness.evaluation.result_file import find_result, read_result
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec
from harness.evaluation.task_names import missing_lm_eval
from harness.launch.embedded_engine import require_engine
from harness.launch.executor import Executor
from harness.launch.job import Job
from harness.launch.parse_job import container_of
from harness.launch.run import open_run
from harness.runs.render_job import render_job

_TOLD = (
    *("MODEL", "CLUSTER", "PROXY", "MCORE_RELEASE_VERSION", "NUM_LAYERS", "VOCAB_SIZE", "SEQ_LEN", "PR", "GROUP_SCORE"),
    *("TP", "PP", "EP", "ETP", "PP_FIRST", "PP_LAST", "DEVICE", "GPU", "NNODES", "GPUS_PER_NODE", "TOKENIZER_MODEL"),
)
"""The settings that a result tells: those with a bearing on an evaluation."""


_EXIT_CODES = {"completed": 0, "cancelled": Interrupted.exit_code}
"""What the command ends with, by the run's status: one that was stopped can go on."""


class Evaluation(NamedTuple):
    """An evaluation ready to run: its configuration, what it measures, and its job."""

    resolved: Resolved
    spec: EvaluationSpec
    job: Job


class Asked(NamedTuple):
    """The configuration of an evaluation, what it measures, and all that is wrong with options, data and tasks."""

    resolved: Resolved
    spec: EvaluationSpec
    problems: list[str]


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


def read_asked(
    ctx: click.Context, names: Sequence[str], typed: Sequence[str], executor: Executor, options: EvalOptions
) -> Asked:
    """Read what is asked of the checkpoints named. ConfigError where it cannot be told what that is.

    What Slurm's nodes may see and this machine does not is noticed.
    """
    problems = options.problems()
    options = _possible(options, executor)
    words = [*typed, *([f"SEQ_LEN={options.seq_len}"] if options.seq_len else [])]
    try:
        subject = find_subject(names, options.steps, unseen_allowed=executor == "slurm")
        resolved = evaluation_configuration(
            ctx, words, executor, subject, config_file=options.config_file, ngpu=options.ngpu
        )
        spec = _spec(subject, resolved, options)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    found = _input_problems(spec, resolved)
    if executor == "slurm":
        request.show_notices([f"{problem} (unless the compute nodes see it)" for problem in found])
        found = []
    return Asked(resolved=resolved, spec=spec, problems=[*problems, *found])


def carry_out(evaluation: Evaluation, *, dry_run: bool, keep: bool) -> int:
    """Run or submit it, but for what is there already; returns the exit code."""
    resolved, spec, job = evaluation
    request.show_planned_notices(resolved)
    if dry_run:
        click.echo(render_job(resolved, job).script.encode(errors="surrogateescape"), nl=False)
        return 0
    if not _missing(spec):
        screen.notice(f"evaluated already, results in {spec.output_dir}; --again measures anew")
        return _show(spec)
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
        _show(spec)
    elif spec.checkpoints != tuple(missing := _missing(spec)):
        there = len(spec.checkpoints) - len(missing)
        screen.notice(f"{there} of {len(spec.checkpoints)} results are there and stay; the same command does the rest")
    click.echo(f"record: {run.paths.record}")
    return _EXIT_CODES.get(record.status, 1)


def _possible(options: EvalOptions, executor: Executor) -> EvalOptions:
    """The options without tasks where lm-eval is missing here, unless nothing else is asked for, and it is said."""
    if options.skip_lm_eval and options.tasks:
        screen.notice("--tasks are left out: SKIP_LM_EVAL")
    asked = options.parts()
    missing = missing_lm_eval() if "tasks" in asked and executor != "slurm" else None
    if missing is None or asked == ("tasks",):
        return options
    screen.notice(f"{missing}; the rest is measured")
    return options._replace(skip_lm_eval=True)


def _spec(subject: Subject, resolved: Resolved, options: EvalOptions) -> EvaluationSpec:
    parts = options.parts()
    if "--num-experts" not in resolved.megatron_args and "routing" in parts:
        screen.notice(f"{subject.model} has no experts: no routing to measure")
        parts = tuple(part for part in parts if part != "routing")
    seq_len = resolved.integer("SEQ_LEN")
    longest = subject.network.flags.integer("--max-position-embeddings") if subject.network else 0
    if 0 < longest < seq_len:
        screen.notice(f"{seq_len} tokens a window are more than the {longest} positions that the network is made for")
    output = Path(options.output_dir).expanduser() if options.output_dir else subject.root / "eval"
    return EvaluationSpec(
        model=subject.model if subject.network else resolved.text("MODEL"),
        checkpoints=tuple(
            EvaluatedCheckpoint(
                folder=str(checkpoint.folder.absolute()),
                step=checkpoint.step,
                fingerprint=fingerprint(checkpoint) if subject.network else "",
            )
            for checkpoint in subject.checkpoints
        ),
        parts=parts,
        data=options.data(resolved),
        output_dir=str(output.absolute()),
        seq_len=seq_len,
        batch_size=options.batch_size or USUAL_BATCH,
        max_tokens=options.max_tokens,
        seed=options.seed,
        ep=options.ep_ranks or resolved.integer("EP", 1),
        tasks=options.task_options(),
        settings={name: text for name, text in as_texts(resolved.settings).items() if name in _TOLD},
        model_args={flag: _text(value) for flag, value in evaluation_flags(resolved, seq_len).items()},
        again=os.urandom(8).hex() if options.again else "",
    )


def _text(value: Any) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _input_problems(spec: EvaluationSpec, resolved: Resolved) -> list[str]:
    """What is wrong with data, tokenizer, tasks and the folder of results, as this machine sees them."""
    from harness.evaluation.data_problems import problems_of_data, problems_of_tokenizer

    problems: list[str] = []
    vocab_size = resolved.integer("VOCAB_SIZE")
    if {"loss", "routing"} & set(spec.parts):
        problems += problems_of_data(spec.data, vocab_size=vocab_size, seq_len=spec.seq_len)
    if spec.tasks and spec.tasks.tasks:
        problems += [it for it in problems_of_tokenizer(spec.data.tokenizer, vocab_size) if it not in problems]
        from harness.evaluation.task_names import problems_of_tasks

        problems += problems_of_tasks(spec.tasks)
    nearest = next((path for path in (Path(spec.output_dir), *Path(spec.output_dir).parents) if path.exists()), None)
    if nearest and not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK, effective_ids=True)):
        problems.append(f"OUTPUT_DIR={spec.output_dir}: {nearest} cannot be written to; give a folder that can")
    return problems


def _missing(spec: EvaluationSpec) -> list[EvaluatedCheckpoint]:
    """The checkpoints that no result is there of."""
    return [checkpoint for checkpoint in spec.checkpoints if find_result(spec, checkpoint) is None]


def _check(job: Job) -> list[str]:
    if not job.program.distributed:
        require_hf()
    elif job.container is None:
        require_engine()
    return []


def _show(spec: EvaluationSpec) -> int:
    """Show the results of all checkpoints: of one in full, of several as a series."""
    found = [find_result(spec, checkpoint) for checkpoint in spec.checkpoints]
    documents = [read_result(path) for path in found if path]
    if len(spec.checkpoints) == 1:
        from harness.report.text.evaluation_result import show_result

        click.echo(show_result(documents[0]))
    else:
        _show_series(spec, documents)
    return 0


def _show_series(spec: EvaluationSpec, documents: Sequence[Mapping[str, Any]]) -> None:
    from harness.evaluation.series_saturation import series_saturation
    from harness.report.html.requirement import require_pages
    from harness.report.text.evaluation_series import show_series

    saturation = series_saturation(spec)
    click.echo(show_series(documents, saturation))
    page = Path(spec.output_dir) / "series.html"
    try:
        require_pages("the page of the series")
        from harness.report.html.series_page import series_page
        from harness.runs.record import utc_now

        write_whole(page, series_page(documents, saturation, made=utc_now()))
    except EnvironmentProblem as problem:
        screen.notice(str(problem))
    except OSError as error:
        screen.notice(f"{page}: cannot be written: {error.strerror}")
    else:
        click.echo(f"page: {page}")

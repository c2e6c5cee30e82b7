"""Read what is asked of checkpoints: the configuration, what is measured, and all that is wrong with either."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from harness.cli import request, screen
from harness.cli.eval_configuration import evaluation_configuration
from harness.cli.eval_options import USUAL_BATCH, EvalOptions
from harness.cli.eval_subject import Subject, find_subject
from harness.config.provenance import Resolved
from harness.config.settings import as_texts
from harness.errors import ConfigError
from harness.evaluation.checkpoints import fingerprint
from harness.evaluation.flags import evaluation_flags
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec
from harness.evaluation.task_names import missing_lm_eval
from harness.launch.executor import Executor

_TOLD = (
    *("MODEL", "CLUSTER", "PROXY", "MCORE_RELEASE_VERSION", "NUM_LAYERS", "VOCAB_SIZE", "SEQ_LEN", "PR", "GROUP_SCORE"),
    *("TP", "PP", "EP", "ETP", "PP_FIRST", "PP_LAST", "DEVICE", "GPU", "NNODES", "GPUS_PER_NODE", "TOKENIZER_MODEL"),
)
"""The settings that a result tells: those with a bearing on an evaluation."""


class Asked(NamedTuple):
    """The configuration of an evaluation, what it measures, and all that is wrong with options, data and tasks."""

    resolved: Resolved
    spec: EvaluationSpec
    problems: list[str]


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

"""The program of a job that asks lm-eval's own `hf` model: `hf-worker`, a hidden command of `eval`."""

import gc
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from harness.evaluation.hf_job import WORKER
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec

_ONE_PROCESS = dict.fromkeys(("tp", "pp", "ep", "etp", "dp", "ranks"), 1)
_VERSIONS = {"moe_harness": "moe-harness", "lm_eval": "lm_eval", "torch": "torch", "transformers": "transformers"}


@click.command(WORKER, hidden=True)
@click.argument("spec")
@click.argument("scratch", type=click.Path(path_type=Path))
def command(spec: str, scratch: Path) -> None:
    """Evaluate what SPEC says, an EvaluationSpec as JSON; converted weights lie in SCRATCH until they are answered."""
    from harness.runs.cancellation import term_as_ctrl_c
    from harness.runs.json_codec import decode

    with term_as_ctrl_c():
        evaluate_with_hf(decode(EvaluationSpec, json.loads(spec)), scratch)


def evaluate_with_hf(spec: EvaluationSpec, scratch: Path) -> None:
    """Evaluate one checkpoint after the other, unless its result is there, and state results in the log.

    ConfigError names what is wrong with tokenizer or tasks before anything is converted.
    """
    from harness.evaluation.result_file import find_result, read_result, write_result
    from harness.evaluation.seen import as_seen_here
    from harness.evaluation.statements import EVALUATED, EVALUATING, begun, finished

    spec = as_seen_here(spec)
    _refuse(spec)
    output = Path(spec.output_dir)
    for number, checkpoint in enumerate(spec.checkpoints, start=1):
        path = find_result(spec, checkpoint)
        kept = path is not None
        if path is None:
            click.echo(EVALUATING + json.dumps(begun(spec, number)))
            path = write_result(output, _measured(spec, checkpoint, scratch))
        click.echo(EVALUATED + json.dumps(finished(read_result(path), path, kept=kept)))


def _refuse(spec: EvaluationSpec) -> None:
    from harness.evaluation.lm_eval_section import refuse_tokenizer
    from harness.evaluation.task_manager import open_tasks
    from harness.evaluation.text_tokenizer import load_text_tokenizer

    assert spec.tasks is not None
    refuse_tokenizer(load_text_tokenizer(spec.data.tokenizer), int(spec.model_args["--vocab-size"]), spec.tasks)
    open_tasks(spec.tasks)


def _measured(spec: EvaluationSpec, checkpoint: EvaluatedCheckpoint, scratch: Path) -> dict[str, Any]:
    """The document of one checkpoint."""
    from harness.evaluation.document import result_document

    start_s = time.monotonic()
    with _converted(Path(checkpoint.folder), scratch) as folder:
        section = _answered(spec, folder)
    gc.collect()  # the model's memory, before the next one takes as much again
    return result_document(
        spec,
        checkpoint,
        {"lm_eval": section},
        walltime_s=time.monotonic() - start_s,
        versions={name: version(package) for name, package in _VERSIONS.items()},
        world=_ONE_PROCESS,
        timestamp=datetime.now(UTC),
    )


@contextmanager
def _converted(source: Path, scratch: Path) -> Iterator[Path]:
    """The same weights as a Hugging Face checkpoint, which is there inside `with`, however that ends.

    What an attempt that was killed left in `scratch` is removed before.
    """
    from ckpt_convert.conversion import convert, open_folder, plan_conversion
    from ckpt_convert.writing.progress import Silent
    from harness.checkpoint.files import CheckpointFormat
    from harness.cli.convert import MOST_THREADS

    shutil.rmtree(scratch, ignore_errors=True)
    target = scratch / "checkpoint"
    try:
        with open_folder(source) as opened:
            plan = plan_conversion(opened, to=CheckpointFormat.HUGGING_FACE, dtype=None, exact=None)
            convert(plan, target, resume=False, threads=MOST_THREADS, progress=Silent())
        yield target
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _answered(spec: EvaluationSpec, folder: Path) -> dict[str, Any]:
    """The section `lm_eval` by lm-eval's own model on a Hugging Face folder."""
    from lm_eval.models.huggingface import HFLM

    from harness.evaluation.hf_model import hf_arguments
    from harness.evaluation.lm_eval_section import ask_tasks
    from harness.evaluation.text_tokenizer import load_text_tokenizer

    arguments = hf_arguments(spec, folder)
    tokenizer = load_text_tokenizer(spec.data.tokenizer)
    section = ask_tasks(HFLM(**arguments), tokenizer, spec, max_length=arguments["max_length"])
    size = arguments["batch_size"]
    return {**section, "batch": "auto: by lm-eval's own search" if size == "auto" else f"{size} sequences"}

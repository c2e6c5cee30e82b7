"""Evaluate the checkpoints of a series one after the other with a model that is built once."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch.distributed

from harness.checkpoint.folder import find_checkpoint
from harness.config.provenance import Resolved
from harness.config.release import EMBEDDED_RELEASE
from harness.engine import effect
from harness.engine.command_line import command_line_flags
from harness.engine.sections import Sections, measure_sections, read_evaluated
from harness.engine.session import ModelSession
from harness.errors import ConfigError
from harness.evaluation.document import result_document
from harness.evaluation.network import read_network
from harness.evaluation.recorded_experts import write_experts
from harness.evaluation.result_file import find_result, read_result, write_result
from harness.evaluation.seen import as_seen_here
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec
from harness.evaluation.statements import DATA, EVALUATED, EVALUATING, begun, finished
from harness.evaluation.task_names import missing_lm_eval
from harness.evaluation.windows import Windows
from harness.launch.stored_flags import contradictions


def evaluate_series(spec: EvaluationSpec, *, on_cpu: bool) -> None:
    """Evaluate what `spec` names and has no result yet, with `sys.argv` as Megatron's command line."""
    session = ModelSession.start(seq_length=spec.seq_len, problems=lambda _args: _problems(spec))
    spec = as_seen_here(_without_missing(spec))
    if windows := read_evaluated(spec, session):
        effect.state(DATA, _data(windows))
    for number, checkpoint in enumerate(spec.checkpoints, start=1):
        if path := _finished(spec, checkpoint):
            effect.state(EVALUATED, finished(read_result(path), path, kept=True))
            continue
        effect.state(EVALUATING, begun(spec, number))
        start_s = time.monotonic()
        _refuse_other_network(Path(checkpoint.folder))
        session.load(Path(checkpoint.folder))
        sections = measure_sections(spec, session, windows)
        if torch.distributed.get_rank() == 0:
            _write(spec, checkpoint, sections, walltime_s=time.monotonic() - start_s, on_cpu=on_cpu, session=session)
    session.close()


def _refuse_other_network(folder: Path) -> None:
    """Raise ConfigError on all ranks where the weights are of another network than the flags: they might load.

    The command has looked too, unless it could not see the checkpoint.
    """
    problems: list[list[str]] = [[]]
    if torch.distributed.get_rank() == 0:
        problems = [_contradictions(folder)]
    torch.distributed.broadcast_object_list(problems, src=0)
    if problems[0]:
        raise ConfigError([f"engine: {problem}" for problem in problems[0]])


def _contradictions(folder: Path) -> list[str]:
    try:
        checkpoint = find_checkpoint(folder)
        needed = read_network(checkpoint).flags
    except ConfigError as error:
        return list(error.problems)
    settings = {"MCORE_RELEASE_VERSION": str(EMBEDDED_RELEASE)}
    return contradictions(
        needed, checkpoint.folder, Resolved(settings=settings, megatron_args=command_line_flags(), env={})
    )


def _problems(spec: EvaluationSpec) -> list[str]:
    """What is wrong with a spec that only an evaluation of it can see."""
    found = []
    if not spec.checkpoints:
        found.append("no checkpoint to evaluate")
    if spec.parts == ("tasks",) and (missing := missing_lm_eval()):
        found.append(missing)
    found += [f"{name} is {value}; allowed: 1 or more" for name, value in _counts(spec).items() if value < 1]
    return found


def _without_missing(spec: EvaluationSpec) -> EvaluationSpec:
    """All that can be measured: without lm-eval no tasks, and the line that installs it is printed."""
    missing = missing_lm_eval() if spec.tasks else None
    if missing is None:
        return spec
    if torch.distributed.get_rank() == 0:
        print(f"engine: {missing}; the rest is evaluated without it", flush=True)
    return spec.without_tasks()


def _counts(spec: EvaluationSpec) -> Mapping[str, int]:
    return {name: getattr(spec, name) for name in ("seq_len", "batch_size", "max_tokens", "ep")}


def _finished(spec: EvaluationSpec, checkpoint: EvaluatedCheckpoint) -> Path | None:
    """The result that is there already, as the first rank sees it: all ranks have to agree."""
    found: list[Path | None] = [None]
    if torch.distributed.get_rank() == 0:
        found = [find_result(spec, checkpoint)]
    torch.distributed.broadcast_object_list(found, src=0)
    return found[0]


def _write(
    spec: EvaluationSpec,
    checkpoint: EvaluatedCheckpoint,
    sections: Sections,
    *,
    walltime_s: float,
    on_cpu: bool,
    session: ModelSession,
) -> None:
    """Write a result and state it. The experts are written before: a result means that all is there."""
    folder = Path(spec.output_dir)
    if sections.experts:
        write_experts(folder, spec.identity(checkpoint), sections.experts)
    document = result_document(
        spec,
        checkpoint,
        sections.measured,
        walltime_s=walltime_s,
        versions=_versions(on_cpu=on_cpu),
        world=_world(session),
        timestamp=datetime.now(UTC),
    )
    path = write_result(folder, document)
    effect.state(EVALUATED, finished(document, path, kept=False))


def _data(windows: Windows) -> dict[str, Any]:
    """How much is evaluated, and how it was cut into windows."""
    return {
        "tokens": int(windows.lengths.sum()),
        "windows": len(windows.lengths),
        "documents": windows.documents,
        "truncated": windows.truncated,
        "rule": windows.rule,
    }


def _versions(*, on_cpu: bool) -> dict[str, str]:
    found = {"moe_harness": version("moe-harness"), **effect.versions(on_cpu=on_cpu)}
    return {name: text for name, text in found.items() if text is not None}


def _world(session: ModelSession) -> dict[str, int]:
    sizes = effect.parallel(session.args)
    return {name: sizes[name] for name in ("tp", "pp", "ep", "etp", "dp")} | {"ranks": session.args.world_size}

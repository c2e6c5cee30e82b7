"""Make the job that evaluates checkpoints: the embedded engine's ranks on whole nodes, or on this one."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.evaluation.flags import evaluation_flags, mapping_problems
from harness.evaluation.spec import EvaluationSpec
from harness.launch.embedded_engine import PACKAGE, engine_environment, with_engine
from harness.launch.executor import Executor
from harness.launch.job import Container, Job, Program
from harness.launch.job_problems import job_problems
from harness.launch.mounts import Mount, path_problem, source_of
from harness.launch.parse_job import container_of, whole_nodes
from harness.launch.script.quoting import unquotable
from harness.plan.verdict import located_violations

KIND = "evaluation"
ENGINE_MODULE = "harness.engine.evaluate"

_TYPED = ("environment", "command line")


def evaluation_job(
    resolved: Resolved,
    executor: Executor,
    spec: EvaluationSpec,
    *,
    slurm_options: Sequence[str] = (),
    python: str = sys.executable,
    package: str = PACKAGE,
) -> Job:
    """Make the job that measures what `spec` says. ConfigError holds every reason why there can be none.

    An attempt that follows another goes on by itself: a result that is there is not measured again.
    """
    container = _container(resolved, executor, spec, package)
    interpreter = "python" if container else python
    flags = evaluation_flags(resolved, spec.seq_len)
    argv = (interpreter, "-u", "-m", ENGINE_MODULE, spec.as_json(), *flags.argv())
    refused = located_violations(replace(resolved, megatron_args=flags))
    program = [*argument_problems(argv), *(list(mapping_problems(resolved)) or refused), *_mount_problems(container)]
    if problems := job_problems(resolved, executor, program=program, slurm_options=slurm_options):
        raise ConfigError(problems)
    return Job(
        kind=KIND,
        name=evaluation_name(resolved, spec),
        executor=executor,
        resources=whole_nodes(resolved, slurm_options),
        container=container,
        program=Program(argv=argv, env=engine_environment(resolved.env, container), python=interpreter),
        retries=resolved.integer("RETRIES"),
    )


def evaluation_name(resolved: Resolved, spec: EvaluationSpec) -> str:
    """The RUN_NAME that was typed, for a cluster's own is that of its benchmarks; or else one after the model."""
    origin = resolved.origin("RUN_NAME")
    if origin and origin.layer in _TYPED and resolved.text("RUN_NAME"):
        return resolved.text("RUN_NAME")
    return "eval-" + re.sub(r"[^A-Za-z0-9_.-]+", "_", spec.model)[:96]


def argument_problems(argv: Sequence[str]) -> Iterator[str]:
    """The arguments that no script can hold."""
    for argument in argv:
        if problem := unquotable(argument):
            yield f"{argument!r} {problem}"


def _container(resolved: Resolved, executor: Executor, spec: EvaluationSpec, package: str) -> Container | None:
    """The container with the engine, and with what the evaluation reads and writes where no mount carries it yet."""
    container = container_of(resolved, executor)
    if container is None:
        return None
    needed: list[Mount] = []
    for path in folders_of(spec):
        if source_of(path, (*container.mounts, *needed)) is None:
            needed.append(Mount(source=path, target=path))
    return with_engine(container._replace(mounts=(*container.mounts, *needed)), package)


def folders_of(spec: EvaluationSpec) -> tuple[str, ...]:
    """The folders that ranks read and write: checkpoints, results, data, tokenizer and tasks; outer ones first."""
    files = [*spec.data.files, spec.output_dir]
    folders = [checkpoint.folder for checkpoint in spec.checkpoints]
    folders += [path if (parent := str(Path(path).parent)) == "/" else parent for path in files]
    folders += [path for path in (spec.data.tokenizer, spec.tasks.include_path if spec.tasks else None) if path]
    return tuple(sorted(dict.fromkeys(folders), key=len))


def _mount_problems(container: Container | None) -> Iterator[str]:
    for mount in container.mounts if container else ():
        if problem := path_problem(mount.source):
            yield f"{mount.source} cannot be mounted in the container: {problem}"

"""Make the training job that a configuration asks for."""

import sys
from collections.abc import Iterator, Sequence

from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.embedded_engine import PACKAGE, engine_environment, with_engine
from harness.launch.executor import Executor
from harness.launch.job import Container, Job, Program
from harness.launch.job_problems import job_problems, name_problem
from harness.launch.parse_job import container_of, whole_nodes
from harness.launch.script.quoting import RUN_DIR, unquotable
from harness.training.resume import FRESH_ONLY, RESUMED, saves_into_run

KIND = "training"
ENGINE_MODULE = "harness.engine.pretrain"

_NSYS = (
    *("nsys", "profile", "--sample=none", "--trace=nvtx,cuda", "--force-overwrite=true"),
    *("--capture-range=cudaProfilerApi", "--capture-range-end=stop", f"--output={RUN_DIR}/ranks/nsys-%q{{RANK}}"),
)


def training_job(
    resolved: Resolved,
    executor: Executor,
    *,
    slurm_options: Sequence[str] = (),
    python: str = sys.executable,
    package: str = PACKAGE,
) -> Job:
    """Make the job that a configuration asks for. ConfigError holds every reason why there can be none.

    `slurm_options` are further options of sbatch. `python` is this machine's interpreter and `package` its `harness`
    folder; a container has a `python` of its own.
    """
    program = _argument_problems(resolved)
    others = job_problems(resolved, executor, program=program, slurm_options=slurm_options)
    if problems := [*_name_problems(resolved), *others]:
        raise ConfigError(problems)
    container = container_of(resolved, executor)
    if container and resolved.embedded:
        container = with_engine(container, package)
    return Job(
        kind=KIND,
        name=job_name(resolved),
        executor=executor,
        resources=whole_nodes(resolved, slurm_options),
        container=container,
        program=_program(resolved, executor, container, python),
        retries=resolved.integer("RETRIES"),
    )


def job_name(resolved: Resolved) -> str:
    """RUN_NAME, or else the model's name."""
    return resolved.text("RUN_NAME") or resolved.text("MODEL")


def profiled_by_nsys(resolved: Resolved) -> bool:
    """Whether Megatron opens a capture range (`--profile`) that Nsight Systems must be there to record."""
    flags = resolved.megatron_args
    return flags.switch("--profile") and not flags.switch("--use-pytorch-profiler") and resolved.text("DEVICE") != "cpu"


def _name_problems(resolved: Resolved) -> Iterator[str]:
    setting = "RUN_NAME" if resolved.text("RUN_NAME") else "MODEL"
    if problem := name_problem(job_name(resolved)):
        yield f"{resolved.at(setting)}{setting}={resolved.text(setting)!r} {problem}"


def _argument_problems(resolved: Resolved) -> Iterator[str]:
    for argument in resolved.megatron_args.argv():
        if problem := unquotable(argument):
            yield f"Megatron's argument {argument!r} {problem}"


def _program(resolved: Resolved, executor: Executor, container: Container | None, python: str) -> Program:
    flags = resolved.megatron_args
    interpreter = python if resolved.embedded and not container else "python"
    resumes = executor == "slurm" and saves_into_run(flags)
    fresh = {flag: value for flag, value in flags.items() if resumes and flag in FRESH_ONLY}
    lasting = {flag: value for flag, value in flags.items() if flag not in fresh}
    return Program(
        argv=(*_rank_command(resolved, interpreter), *MegatronArgs(lasting).argv()),
        env=engine_environment(resolved.env, container if resolved.embedded else None),
        python=interpreter,
        fresh=tuple(MegatronArgs(fresh).argv()) if resumes else None,
        resumed=RESUMED if resumes else (),
        last_step=flags.integer("--train-iters") or None,
        checkout=None if resolved.embedded else resolved.text("MEGATRON_PATH"),
    )


def _rank_command(resolved: Resolved, python: str) -> tuple[str, ...]:
    script = f"{resolved.text('MEGATRON_PATH')}/pretrain_gpt.py"
    program = ("-m", ENGINE_MODULE) if resolved.embedded else (script,)
    profiler = _NSYS if profiled_by_nsys(resolved) else ()
    return (*profiler, python, "-u", *program)

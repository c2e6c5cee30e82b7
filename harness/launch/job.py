"""What is to run, on what, as one frozen value."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.executor import Executor, Runtime
from harness.launch.job_rules import chosen_runtime, job_problems
from harness.launch.mounts import Mount, parse_mounts
from harness.launch.resume import FRESH_ONLY, saves_into_run
from harness.launch.script.quoting import RUN_DIR
from harness.launch.slurm.sbatch_args import split_sbatch_args, split_srun_args
from harness.launch.slurm.time_limit import parse_time_limit_s

type Device = Literal["cpu", "gpu"]

ENGINE_MODULE = "harness.engine.pretrain"
ENGINE_IN_CONTAINER = "/opt/moe-harness"
PACKAGE = str(Path(__file__).resolve().parents[1])
"""The folder of the `harness` package on this machine; a container gets the embedded engine from it."""


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """One job: `gpus_per_node` ranks on each of `nodes` (on CPU too), every one of which runs `command`.

    `${RUN_DIR}` in `argv` and in values of `env` stands for the run's folder; the job's script has it as a variable.
    `fresh` are the words after `argv` that hold only where the run begins, and not where it goes on from a checkpoint
    of its own; None where it saves none. `megatron` is the checkout that trains, None for the embedded engine.
    """

    name: str
    place: Executor
    device: Device
    nodes: int
    gpus_per_node: int
    argv: tuple[str, ...]
    env: Mapping[str, str]
    python: str
    image: str | None
    runtime: Runtime
    mounts: tuple[Mount, ...]
    megatron: str | None
    fresh: tuple[str, ...] | None
    train_iters: int | None
    retries: int
    time_limit_s: int
    account: str | None
    partition: str | None
    sbatch_args: tuple[str, ...]
    srun_args: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """What a rank runs where the run begins."""
        return (*self.argv, *(self.fresh or ()))

    def command_in(self, folder: str) -> list[str]:
        """The same, with the run's folder named."""
        return [word.replace(RUN_DIR, folder) for word in self.command]

    def env_in(self, folder: str) -> dict[str, str]:
        """The job's own environment, with the run's folder named."""
        return {name: value.replace(RUN_DIR, folder) for name, value in self.env.items()}


def job_spec(
    resolved: Resolved,
    place: Executor,
    *,
    slurm_options: Sequence[str] = (),
    python: str = sys.executable,
    package: str = PACKAGE,
) -> JobSpec:
    """The job that a configuration asks for. ConfigError holds every reason why there can be none.

    `slurm_options` are further options of sbatch. `python` is this machine's interpreter and `package` its `harness`
    folder; a container has a `python` of its own.
    """
    if problems := job_problems(resolved, place, slurm_options):
        raise ConfigError(problems)
    runtime = chosen_runtime(resolved)
    image = None if place == "local" or runtime == "none" else resolved.text("CONTAINER_IMAGE") or None
    interpreter = python if resolved.embedded and not image else "python"
    mounts = parse_mounts(resolved.text("CONTAINER_MOUNTS")) if image else ()
    env = dict(resolved.env)
    if image and resolved.embedded:
        mounts = (*mounts, Mount(source=package, target=f"{ENGINE_IN_CONTAINER}/harness", read_only=True))
        env["PYTHONPATH"] = ":".join(filter(None, (ENGINE_IN_CONTAINER, env.get("PYTHONPATH"))))
    fresh = _fresh(resolved) if place == "slurm" and saves_into_run(resolved.megatron_args) else None
    return JobSpec(
        name=job_name(resolved),
        place=place,
        device="cpu" if resolved.text("DEVICE") == "cpu" else "gpu",
        nodes=resolved.integer("NNODES", 1),
        gpus_per_node=resolved.integer("GPUS_PER_NODE", 1),
        argv=(*_rank_command(resolved, interpreter), *_flags(resolved, lasting=fresh is not None)),
        env=env,
        python=interpreter,
        image=image,
        runtime=runtime,
        mounts=mounts,
        megatron=None if resolved.embedded else resolved.text("MEGATRON_PATH"),
        fresh=fresh,
        train_iters=resolved.megatron_args.integer("--train-iters") or None,
        retries=resolved.integer("RETRIES"),
        time_limit_s=parse_time_limit_s(resolved.text("RUN_TIME")),
        account=resolved.text("ACCOUNT") or None,
        partition=resolved.text("PARTITION") or None,
        sbatch_args=(*split_sbatch_args(resolved.text("SBATCH_ARGS")), *slurm_options),
        srun_args=split_srun_args(resolved.text("SRUN_ARGS")),
    )


def job_name(resolved: Resolved) -> str:
    """RUN_NAME, or else the model's name."""
    return resolved.text("RUN_NAME") or resolved.text("MODEL")


def profiled_by_nsys(resolved: Resolved) -> bool:
    """Whether Megatron opens a capture range (`--profile`) that Nsight Systems must be there to record."""
    flags = resolved.megatron_args
    return flags.switch("--profile") and not flags.switch("--use-pytorch-profiler") and resolved.text("DEVICE") != "cpu"


def _rank_command(resolved: Resolved, python: str) -> tuple[str, ...]:
    script = f"{resolved.text('MEGATRON_PATH')}/pretrain_gpt.py"
    program = ("-m", ENGINE_MODULE) if resolved.embedded else (script,)
    profiler = _NSYS if profiled_by_nsys(resolved) else ()
    return (*profiler, python, "-u", *program)


def _fresh(resolved: Resolved) -> tuple[str, ...]:
    flags = resolved.megatron_args
    return tuple(MegatronArgs({flag: value for flag, value in flags.items() if flag in FRESH_ONLY}).argv())


def _flags(resolved: Resolved, *, lasting: bool) -> list[str]:
    """Megatron's flags; `lasting`: without those of a fresh start."""
    flags = resolved.megatron_args
    return MegatronArgs({flag: value for flag, value in flags.items() if not (lasting and flag in FRESH_ONLY)}).argv()


_NSYS = (
    *("nsys", "profile", "--sample=none", "--trace=nvtx,cuda", "--force-overwrite=true"),
    *("--capture-range=cudaProfilerApi", "--capture-range-end=stop", f"--output={RUN_DIR}/ranks/nsys-%q{{RANK}}"),
)

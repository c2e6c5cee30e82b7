"""What is to run, on what, as one frozen value."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.job_rules import job_problems
from harness.launch.mounts import Mount, parse_mounts
from harness.launch.place import Place
from harness.launch.quoting import RUN_DIR
from harness.launch.sbatch_args import split_sbatch_args
from harness.launch.time_limit import parse_time_limit_s

type Device = Literal["cpu", "gpu"]

ENGINE_MODULE = "harness.engine.pretrain"
ENGINE_IN_CONTAINER = "/opt/moe-harness"
PACKAGE = str(Path(__file__).resolve().parents[1])
"""The folder of the `harness` package on this machine; a container gets the embedded engine from it."""


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """One job: `gpus_per_node` ranks on each of `nodes` (on CPU too), every one of which runs `argv`.

    `${RUN_DIR}` in `argv` and in values of `env` stands for the run's folder; the job's script has it as a variable.
    """

    name: str
    place: Place
    device: Device
    nodes: int
    gpus_per_node: int
    argv: tuple[str, ...]
    env: Mapping[str, str]
    python: str
    image: str | None
    mounts: tuple[Mount, ...]
    time_limit_s: int
    account: str | None
    partition: str | None
    sbatch_args: tuple[str, ...]

    def argv_in(self, folder: str) -> list[str]:
        """What a rank runs, with the run's folder named."""
        return [word.replace(RUN_DIR, folder) for word in self.argv]

    def env_in(self, folder: str) -> dict[str, str]:
        """The job's own environment, with the run's folder named."""
        return {name: value.replace(RUN_DIR, folder) for name, value in self.env.items()}


def job_spec(resolved: Resolved, place: Place, *, python: str = sys.executable, package: str = PACKAGE) -> JobSpec:
    """The job that a configuration asks for. ConfigError holds every reason why there can be none.

    `python` is this machine's interpreter and `package` its `harness` folder; a container has a `python` of its own.
    """
    if problems := job_problems(resolved, place):
        raise ConfigError(problems)
    image = None if place == "local" else resolved.text("CONTAINER_IMAGE") or None
    interpreter = python if resolved.embedded and not image else "python"
    mounts = parse_mounts(resolved.text("CONTAINER_MOUNTS")) if image else ()
    env = dict(resolved.env)
    if image and resolved.embedded:
        mounts = (*mounts, Mount(source=package, target=f"{ENGINE_IN_CONTAINER}/harness", read_only=True))
        env["PYTHONPATH"] = ":".join(filter(None, (ENGINE_IN_CONTAINER, env.get("PYTHONPATH"))))
    return JobSpec(
        name=job_name(resolved),
        place=place,
        device="cpu" if resolved.text("DEVICE") == "cpu" else "gpu",
        nodes=resolved.integer("NNODES", 1),
        gpus_per_node=resolved.integer("GPUS_PER_NODE", 1),
        argv=_rank_argv(resolved, interpreter),
        env=env,
        python=interpreter,
        image=image,
        mounts=mounts,
        time_limit_s=parse_time_limit_s(resolved.text("RUN_TIME")),
        account=resolved.text("ACCOUNT") or None,
        partition=resolved.text("PARTITION") or None,
        sbatch_args=split_sbatch_args(resolved.text("SBATCH_ARGS")),
    )


def job_name(resolved: Resolved) -> str:
    """RUN_NAME, or else the model's name."""
    return resolved.text("RUN_NAME") or resolved.text("MODEL")


def profiled_by_nsys(resolved: Resolved) -> bool:
    """Whether Megatron opens a capture range (`--profile`) that Nsight Systems must be there to record."""
    flags = resolved.megatron_args
    return flags.switch("--profile") and not flags.switch("--use-pytorch-profiler") and resolved.text("DEVICE") != "cpu"


def _rank_argv(resolved: Resolved, python: str) -> tuple[str, ...]:
    script = f"{resolved.text('MEGATRON_PATH')}/pretrain_gpt.py"
    program = ("-m", ENGINE_MODULE) if resolved.embedded else (script,)
    profiler = _NSYS if profiled_by_nsys(resolved) else ()
    return (*profiler, python, "-u", *program, *resolved.megatron_args.argv())


_NSYS = (
    *("nsys", "profile", "--sample=none", "--trace=nvtx,cuda", "--force-overwrite=true"),
    *("--capture-range=cudaProfilerApi", "--capture-range-end=stop", f"--output={RUN_DIR}/ranks/nsys-%q{{RANK}}"),
)

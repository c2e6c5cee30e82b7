"""A job as one frozen value: its resources, its container, the program that every rank runs, and its array."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from harness.launch.executor import ContainerRuntime, Executor
from harness.launch.mounts import Mount, source_of
from harness.launch.script.quoting import RUN_DIR

type Device = Literal["cpu", "gpu"]


class Resources(NamedTuple):
    """The resources that a job asks for: `ranks_per_node` ranks on each of `nodes`, on CPU too.

    Without `cpus_per_rank` the job has its nodes to itself; with it, that many cores a rank and `memory` a node, in the
    form of sbatch (`2G`). Without `time_limit_s` the partition's own limit holds.
    """

    nodes: int
    ranks_per_node: int
    device: Device
    time_limit_s: int | None = None
    account: str | None = None
    partition: str | None = None
    cpus_per_rank: int | None = None
    memory: str | None = None
    sbatch_args: tuple[str, ...] = ()
    srun_args: tuple[str, ...] = ()

    @property
    def ranks(self) -> int:
        """Ranks of the whole job."""
        return self.nodes * self.ranks_per_node


class Container(NamedTuple):
    """The image that ranks run in, who starts it, and which folders of the host it sees."""

    image: str
    runtime: ContainerRuntime
    mounts: tuple[Mount, ...] = ()


class Program(NamedTuple):
    """The program that every rank runs, and how it resumes.

    `${RUN_DIR}` in `argv` and in values of `env` stands for the run's folder; the job's script has it as a variable.
    `python` is the interpreter that the ranks' node has. `fresh` are the arguments after `argv` where the run begins,
    `resumed` those where it goes on from a checkpoint of its own; `fresh` is None where the run saves none, or the
    program finds by itself where to go on. `last_step` is the step after which nothing is left to do. `checkout` is the
    Megatron-LM that trains, None for what is installed. Ranks of a program that is not `distributed` need not find one
    another.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    python: str
    fresh: tuple[str, ...] | None = None
    resumed: tuple[str, ...] = ()
    last_step: int | None = None
    checkout: str | None = None
    distributed: bool = True

    @property
    def command(self) -> tuple[str, ...]:
        """The command of a rank where the run begins anew."""
        return (*self.argv, *(self.fresh or ()))

    def command_in(self, folder: str) -> list[str]:
        """The command with the run's folder in place of `${RUN_DIR}`."""
        return [argument.replace(RUN_DIR, folder) for argument in self.command]

    def env_in(self, folder: str) -> dict[str, str]:
        """The program's own environment with the run's folder in place of `${RUN_DIR}`."""
        return {name: value.replace(RUN_DIR, folder) for name, value in self.env.items()}


class Array(NamedTuple):
    """Tasks 0 to `tasks` - 1 of one Slurm job, each a run with a folder of its own; at most `at_once` run together."""

    tasks: int
    at_once: int | None = None


class Job(NamedTuple):
    """One job of some kind of run, e.g. `training`. `retries` counts the starts after the first one.

    Without a `container` the ranks run on the bare nodes.
    """

    kind: str
    name: str
    executor: Executor
    resources: Resources
    program: Program
    container: Container | None = None
    retries: int = 0
    array: Array | None = None

    def host_path(self, path: str) -> Path | None:
        """The host's name for a path that the program uses; None where only the image can hold it."""
        if self.container is None:
            return Path(path)
        source = source_of(path, self.container.mounts)
        return Path(source) if source else None

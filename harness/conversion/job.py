"""The job that converts a checkpoint: one process on a part of one node, without GPU and container."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.config.provenance import Resolved
from harness.conversion.arguments import IN_JOB
from harness.errors import ConfigError
from harness.launch.executor import Executor
from harness.launch.job import Job, Program
from harness.launch.job_problems import job_problems
from harness.launch.parse_job import part_of_a_node
from harness.launch.script.quoting import unquotable
from harness.launch.slurm.time_limit import parse_time_limit_s

KIND = "conversion"

_TYPED = ("environment", "command line")

_MEMORY = "2G"
"""Several times what a conversion holds. Without it Slurm would give, or count, all memory of the node."""


def conversion_job(
    resolved: Resolved, executor: Executor, target: Path, arguments: Sequence[str], *, threads: int
) -> Job:
    """The job that runs `moe-harness convert run ARGUMENTS`. ConfigError holds every reason why there can be none.

    `resolved` are the settings of a cluster: account, partition and SBATCH_ARGS are its own, as for a launch. RUN_TIME
    counts where it was typed or exported, since the default is that of a benchmark.
    """
    argv = (sys.executable, "-m", "harness", "convert", "run", *arguments, IN_JOB)
    problems = list(_argument_problems(argv))
    if executor == "slurm":
        problems = [*_template_problems(resolved), *job_problems(resolved, executor, program=problems)]
    if problems:
        raise ConfigError(problems)
    asked = resolved.origin("RUN_TIME")
    limit_s = parse_time_limit_s(resolved.text("RUN_TIME")) if asked and asked.layer in _TYPED else None
    return Job(
        kind=KIND,
        name="convert-" + re.sub(r"[^A-Za-z0-9_.-]+", "_", target.absolute().name)[:96],
        executor=executor,
        resources=part_of_a_node(resolved, cpus=threads, memory=_MEMORY, time_limit_s=limit_s),
        program=Program(argv=argv, env={}, python=sys.executable, distributed=False),
        retries=resolved.integer("RETRIES"),
    )


def _argument_problems(argv: Sequence[str]) -> Iterator[str]:
    for argument in argv:
        if problem := unquotable(argument):
            yield f"{argument!r} {problem}"


def _template_problems(resolved: Resolved) -> Iterator[str]:
    """Where the cluster's conf still has the template's text for account and partition."""
    for name in ("ACCOUNT", "PARTITION"):
        if resolved.text(name).startswith("YOUR_"):
            yield (
                f"{resolved.at(name)}{name}={resolved.text(name)} is not filled in; copy the file to NAME.conf, set"
                f" {name} there and CLUSTER=NAME, or export {name}"
            )

"""A job of one process on one node, such as a conversion: no ranks, no GPUs, no container."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.job_rules import job_problems
from harness.launch.script.lines import job_head
from harness.launch.script.quoting import array_lines, quote, unquotable
from harness.launch.slurm.sbatch_args import split_sbatch_args

_FOR_TRAINING = ("--exclusive", "--gpus", "--gres", "--mem")
"""What a cluster's SBATCH_ARGS may ask for its benchmarks, and a job of one process does not need."""

_MEMORY = "2G"
"""Several times what a conversion holds. Without a word Slurm would give, or count, all memory of the node."""


@dataclass(frozen=True, kw_only=True)
class OneProcessJob:
    """What runs in which folder, and what Slurm is asked for. Without `time_limit` the partition's own holds."""

    name: str
    argv: tuple[str, ...]
    folder: str
    cpus: int
    account: str | None
    partition: str | None
    time_limit: str | None
    sbatch_args: tuple[str, ...]


def one_process_job(
    resolved: Resolved, name: str, argv: tuple[str, ...], *, folder: str, cpus: int, time_limit: str | None
) -> OneProcessJob:
    """The job as the cluster's conf and the user's settings ask for it. ConfigError says why there can be none."""
    unfit = [f"{word!r} {problem}" for word in (folder, *argv) if (problem := unquotable(word))]
    if problems := [*job_problems(resolved, "slurm"), *unfit]:
        raise ConfigError(problems)
    return OneProcessJob(
        name=name,
        argv=argv,
        folder=folder,
        cpus=cpus,
        account=resolved.text("ACCOUNT") or None,
        partition=resolved.text("PARTITION") or None,
        time_limit=time_limit,
        sbatch_args=tuple(
            option for option in split_sbatch_args(resolved.text("SBATCH_ARGS")) if not option.startswith(_FOR_TRAINING)
        ),
    )


def render_one_process(spec: OneProcessJob) -> str:
    """The whole sbatch script."""
    lines = ["#!/bin/bash", *(f"#SBATCH {option}" for option in _options(spec)), "", "set -euo pipefail"]
    lines += [f"cd -- {quote(spec.folder)}", "program=(", *array_lines(spec.argv), ")", 'exec "${program[@]}"']
    return "\n".join(lines) + "\n"


def _options(spec: OneProcessJob) -> Iterator[str]:
    yield from job_head(spec.name, spec.account, spec.partition)
    yield from ("--nodes=1", "--ntasks=1", f"--cpus-per-task={spec.cpus}")
    if spec.time_limit:
        yield f"--time={spec.time_limit}"
    yield from (f"--mem={_MEMORY}", "--open-mode=append", *spec.sbatch_args)

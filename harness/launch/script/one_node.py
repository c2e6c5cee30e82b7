"""The script of a job on this node: torchrun, in a container started by enroot if there is an image.

A program whose ranks need not find one another runs without either.
"""

from collections.abc import Iterator

from harness.launch.job import Job
from harness.launch.script.container import caches, enroot_options
from harness.launch.script.lines import array, continued, environment, opening
from harness.launch.script.quoting import RUN_DIR, quote

_ALONE = "$RUN_DIR/ranks/alone/attempt_0/0"


def one_node_lines(job: Job) -> Iterator[str]:
    """Render all lines of the script."""
    yield from ("#!/bin/bash", *opening(), 'mkdir -p -- "$RUN_DIR/ranks"')
    if job.resources.device == "cpu":
        yield from ("", "# A fair share of the cores for every rank, unless the caller or the job says otherwise.")
        yield "cores=$(env -u OMP_NUM_THREADS nproc)"
        yield f"share=$((cores > {job.resources.ranks_per_node} ? cores / {job.resources.ranks_per_node} : 1))"
        yield "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$share}"
    yield from environment(job)
    yield from ("", "# What every rank runs.", *array("program", job.program.command), "")
    if not job.program.distributed:
        yield "# Its output goes where torchrun would put that of a rank."
        yield f'mkdir -p -- "{_ALONE}"'
        yield f'exec "${{program[@]}}" >"{_ALONE}/stdout.log" 2>"{_ALONE}/stderr.log"'
    elif job.container:
        options = (*enroot_options(job.container), quote(job.container.image), _container_environment(job))
        yield from continued("exec enroot start", options, _torchrun(job))
    else:
        yield f"exec {_torchrun(job)}"


def _container_environment(job: Job) -> str:
    names = [*job.program.env, "RUN_DIR", *(["OMP_NUM_THREADS"] if job.resources.device == "cpu" else [])]
    inherited = [f'{name}="${name}"' for name in dict.fromkeys(names)]
    return " ".join(("env", *caches(job.program.env), *inherited))


def _torchrun(job: Job) -> str:
    options = f"--standalone --nproc-per-node={job.resources.ranks_per_node} --redirects=3 --no-python"
    logs = quote(f"--log-dir={RUN_DIR}/ranks")
    return f'{quote(job.program.python)} -m torch.distributed.run {options} {logs} "${{program[@]}}"'

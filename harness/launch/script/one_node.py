"""The script of a job on this node: torchrun, in a container started by enroot if there is an image."""

from collections.abc import Iterator

from harness.launch.job import JobSpec
from harness.launch.script.container import caches, enroot_options
from harness.launch.script.lines import array, continued, environment, opening
from harness.launch.script.quoting import RUN_DIR, quote


def one_node_lines(spec: JobSpec) -> Iterator[str]:
    """All lines of the script."""
    yield from ("#!/bin/bash", *opening(), 'mkdir -p -- "$RUN_DIR/ranks"')
    if spec.device == "cpu":
        yield from ("", "# A fair share of the cores for every rank, unless the caller or the job says otherwise.")
        yield "cores=$(env -u OMP_NUM_THREADS nproc)"
        yield f"share=$((cores > {spec.gpus_per_node} ? cores / {spec.gpus_per_node} : 1))"
        yield "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$share}"
    yield from environment(spec)
    yield from ("", "# What every rank runs.", *array("program", spec.command), "")
    if spec.image:
        options = (*enroot_options(spec), quote(spec.image), _container_environment(spec))
        yield from continued("exec enroot start", options, _torchrun(spec))
    else:
        yield f"exec {_torchrun(spec)}"


def _container_environment(spec: JobSpec) -> str:
    names = [*spec.env, "RUN_DIR", *(["OMP_NUM_THREADS"] if spec.device == "cpu" else [])]
    inherited = [f'{name}="${name}"' for name in dict.fromkeys(names)]
    return " ".join(("env", *caches(spec), *inherited))


def _torchrun(spec: JobSpec) -> str:
    options = f"--standalone --nproc-per-node={spec.gpus_per_node} --redirects=3 --no-python"
    logs = quote(f"--log-dir={RUN_DIR}/ranks")
    return f'{quote(spec.python)} -m torch.distributed.run {options} {logs} "${{program[@]}}"'

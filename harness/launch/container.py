"""The container: pyxis's options for srun, and enroot's own command on an interactive node."""

from collections.abc import Iterator

from harness.config.secrets import SECRETS
from harness.launch.job import JobSpec
from harness.launch.quoting import RUN_DIR, quote

RUN_MARK = "/moe-harness-run"
"""Where a container has the run's folder a second time: no bare host has it, so its presence proves the container."""

CACHES = {"HOME": "/tmp", "XDG_CACHE_HOME": "/tmp/.cache"}
"""A container has no home of the user; what libraries cache goes to its private /tmp unless the job says where."""

_LAUNCHER_NAMES = ("MASTER_ADDR", "MASTER_PORT", "RUN_DIR")


def caches(spec: JobSpec) -> list[str]:
    """`NAME=value` of each cache folder that the job's environment does not set itself."""
    return [f"{name}={value}" for name, value in CACHES.items() if name not in spec.env]


def srun_options(spec: JobSpec) -> Iterator[str]:
    """Pyxis's options, a line each. They stand on srun: on an #SBATCH line they would containerise the batch shell."""
    own = (f"{RUN_DIR}:{RUN_DIR}", f"{RUN_DIR}:{RUN_MARK}")
    # The image's value of a variable wins over the job's unless it is named here. PATH must stay the image's.
    names = sorted({*spec.env, *SECRETS, *_LAUNCHER_NAMES} - {"PATH"})
    yield '--container-image="$image"'
    yield quote("--container-mounts=" + ",".join((*map(str, spec.mounts), *own)))
    yield quote(f"--container-workdir={RUN_DIR}")
    yield "--no-container-mount-home"
    yield "--container-writable"
    yield "--container-env=" + ",".join(names)


def enroot_options(spec: JobSpec) -> Iterator[str]:
    """Options of `enroot start`, a line each. A secret goes by name, and only if the caller has it."""
    yield "--rw"
    for mount in spec.mounts:
        mode = ",ro" if mount.read_only else ""
        yield quote(f"--mount={mount.source}:{mount.target}:x-create=auto,rbind{mode}")
    yield quote(f"--mount={RUN_DIR}:{RUN_DIR}:x-create=auto,rbind")
    for name in sorted(SECRETS):
        yield f"${{{name}+--env={name}}}"

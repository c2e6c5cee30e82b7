"""The container: pyxis's options for srun, and enroot's own command in each task or on an interactive node."""

from collections.abc import Iterator, Mapping

from harness.config.secrets import SECRETS
from harness.launch.job import Container
from harness.launch.script.quoting import RUN_DIR, quote

RUN_MARK = "/moe-harness-run"
"""A second path of the run's folder in a container: no bare host has it, so its presence proves the container."""

CACHES = {"HOME": "/tmp", "XDG_CACHE_HOME": "/tmp/.cache"}
"""A container has no home of the user; what libraries cache goes to its private /tmp unless the job says where."""

_LAUNCHER_NAMES = ("MASTER_ADDR", "MASTER_PORT", "RUN_DIR")
_TASK_NAMES = ("SLURM_JOB_ID", "SLURM_LOCALID", "SLURM_NTASKS", "SLURM_PROCID", "SLURMD_NODENAME")
_TASK_NAMES_IF_SET = ("CUDA_VISIBLE_DEVICES", "MOE_HARNESS_FENCE_S")


def run_mark(container: Container | None) -> str:
    """The path by which a rank sees that it is in its container; empty if it is to be in none."""
    return RUN_MARK if container else ""


def caches(env: Mapping[str, str]) -> list[str]:
    """`NAME=value` of each cache folder that `env`, the job's environment, does not set itself."""
    return [f"{name}={value}" for name, value in CACHES.items() if name not in env]


def pyxis_options(container: Container, env: Mapping[str, str]) -> Iterator[str]:
    """Pyxis's options, a line each. They stand on srun: on an #SBATCH line they would containerise the batch shell."""
    own = (f"{RUN_DIR}:{RUN_DIR}", f"{RUN_DIR}:{RUN_MARK}")
    # The image's value of a variable wins over the job's unless it is named here. PATH must stay the image's.
    names = sorted({*env, *SECRETS, *_LAUNCHER_NAMES} - {"PATH"})
    yield '--container-image="$image"'
    yield quote("--container-mounts=" + ",".join((*map(str, container.mounts), *own)))
    yield quote(f"--container-workdir={RUN_DIR}")
    yield "--no-container-mount-home"
    yield "--container-writable"
    yield "--container-env=" + ",".join(names)


def image_guard(image: str) -> Iterator[str]:
    """The lines that check that there is an image before any task is started."""
    yield from ("", f"image={quote(image)}")
    yield ': "${image:?is empty: srun would run on the bare host}"'
    if image.startswith("/"):
        yield '[ -r "$image" ] || refuse "cannot read the container image $image"'


def enroot_task(container: Container, env: Mapping[str, str]) -> Iterator[str]:
    """The lines before a task's command. A container inherits nothing: Slurm's variables go in by name."""
    yield "enroot start"
    yield from enroot_options(container)
    yield quote(f"--mount={RUN_DIR}:{RUN_MARK}:x-create=auto,rbind")
    yield from (f"--env={name}" for name in _TASK_NAMES)
    yield from (f"${{{name}+--env={name}}}" for name in _TASK_NAMES_IF_SET)
    yield '"$image"'
    names = dict.fromkeys((*_LAUNCHER_NAMES, *env))
    yield " ".join(("env", *(f'{name}="${name}"' for name in names if name != "PATH")))


def enroot_options(container: Container) -> Iterator[str]:
    """Options of `enroot start`, a line each. A secret goes by name, and only if the caller has it."""
    yield "--rw"
    for mount in container.mounts:
        mode = ",ro" if mount.read_only else ""
        yield quote(f"--mount={mount.source}:{mount.target}:x-create=auto,rbind{mode}")
    yield quote(f"--mount={RUN_DIR}:{RUN_DIR}:x-create=auto,rbind")
    for name in sorted(SECRETS):
        yield f"${{{name}+--env={name}}}"

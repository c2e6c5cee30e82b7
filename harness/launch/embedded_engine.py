"""The embedded engine as a job's ranks start it: this machine's own, or mounted into a container."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from harness.errors import EnvironmentProblem
from harness.launch.job import Container
from harness.launch.mounts import Mount

IN_CONTAINER = "/opt/moe-harness"
PACKAGE = str(Path(__file__).resolve().parents[1])
"""The folder of the `harness` package on this machine; a container gets the embedded engine from it."""


def with_engine(container: Container, package: str = PACKAGE) -> Container:
    """The container with the engine mounted."""
    engine = Mount(source=package, target=f"{IN_CONTAINER}/harness", read_only=True)
    return container._replace(mounts=(*container.mounts, engine))


def engine_environment(env: Mapping[str, str], container: Container | None) -> dict[str, str]:
    """The environment of ranks that run the engine: in a container Python finds it where it is mounted."""
    if container is None:
        return dict(env)
    return {**env, "PYTHONPATH": ":".join(filter(None, (IN_CONTAINER, env.get("PYTHONPATH"))))}


def require_engine(*, instead: str = "") -> None:
    """EnvironmentProblem where the engine's packages are not installed; `instead` says what else would do."""
    missing = [name for name in ("torch", "megatron.core") if not _is_installed(name)]
    if missing:
        raise EnvironmentProblem(
            f"the embedded engine is not installed here (no {', no '.join(missing)});"
            f" run tools/setup.sh engine in a checkout, or pip install 'moe-harness[engine]'{instead}"
        )


def _is_installed(module: str) -> bool:
    package = module.partition(".")[0]
    return find_spec(package) is not None and find_spec(module) is not None

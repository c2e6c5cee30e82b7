"""A Slurm for these tests: one a pytest process (so one an xdist worker), as after its start for every test."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import PATH, PROGRAMS, Cluster
from launching import User

CLUSTERS = ("slurm", "slurm_accounting")
LONGEST = ("test_faults", "test_resume", "test_train")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are `slurm` and `slow`. The longest come first, so that no worker ends on one alone."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slurm)
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope="session")
def slurm_programs(repository: Path) -> None:
    """Slurm's programs, installed where they are missing and can be; else what needs them is skipped.

    SLURM_REQUIRED=1 makes that a failure: who asks for these tests by name is not served by their absence.
    """
    without = pytest.fail if os.environ.get("SLURM_REQUIRED") else pytest.skip
    if os.getuid() != 0:
        without("only root can start a Slurm whose jobs run as their users: run these tests as root")
    if not all(shutil.which(program, path=PATH) for program in PROGRAMS):
        installed = subprocess.run([repository / "tools/slurm.sh", "install"], capture_output=True, text=True)
        if installed.returncode != 0:
            without(f"Slurm is missing: {installed.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="session")
def slurm(slurm_programs: None) -> Iterator[Cluster]:
    """A Slurm without accounting."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def slurm_accounting(slurm_programs: None) -> Iterator[Cluster]:
    """A Slurm whose sacct answers."""
    with Cluster(accounting=True) as cluster:
        yield cluster


@pytest.fixture
def user(tmp_path: Path, slurm: Cluster) -> User:
    """A user of that Slurm, in a folder of the test."""
    return User(tmp_path, slurm)


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> Iterator[None]:
    """Ctrl-C as on a terminal; what runs in the background inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _reset(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave no job, no node that is down and no daemon that is stopped to the next test."""
    used = [request.getfixturevalue(name) for name in CLUSTERS if name in request.fixturenames]
    yield
    for cluster in used:
        cluster.reset()

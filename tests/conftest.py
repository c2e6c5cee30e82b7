"""What all tests share."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from engine_jobs import Ranks, start_server

from harness.config.provenance import Resolved
from harness.config.request import Request
from harness.config.roots import Roots, shipped_root
from harness.config.schema import SETTINGS
from harness.config.secrets import SECRETS
from harness.config.sources import resolve_request

REPOSITORY = Path(__file__).resolve().parent.parent

type Resolve = Callable[..., Resolved]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting exported in the developer's shell must not decide a test."""
    for name in {*SETTINGS, *SECRETS} & os.environ.keys():
        monkeypatch.delenv(name)


@pytest.fixture
def resolve(tmp_path: Path) -> Resolve:
    """Resolve `KEY=VALUE` words against the shipped configuration, in an empty folder, with an empty environment."""

    def call(
        *words: str,
        cluster: str = "laptop",
        extra: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        here: Path = tmp_path,
        gpus: int = 0,
    ) -> Resolved:
        request = Request(arguments=words, extra=extra, environ=environ or {}, default_cluster=cluster, gpus=gpus)
        return resolve_request(request, Roots(here=here, shipped=shipped_root()))

    return call


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout under test."""
    return REPOSITORY


@pytest.fixture(scope="session")
def ranks(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Ranks]:
    """A server of forked ranks, one thread each: torch and Megatron are imported once for all jobs."""
    folder = tmp_path_factory.mktemp("ranks")
    tests = Path(__file__).parent
    search = os.pathsep.join(map(str, (repository, tests, tests / "engine")))
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": search}
    command = [sys.executable, "-W", "ignore", str(tests / "engine_rank_server.py")]
    ranks, server = start_server(command, environ, folder)
    yield ranks
    with server:
        server.communicate(timeout=10)

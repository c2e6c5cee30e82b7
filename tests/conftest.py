"""What all tests share."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from engine_jobs import Ranks, start_server
from hypothesis import settings

from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.provenance import Entry, Origin, Resolved, SettingValue
from harness.config.request import Request
from harness.config.roots import Roots, shipped_root
from harness.config.schema import SETTINGS
from harness.config.secrets import SECRETS
from harness.config.sources import resolve_request

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
settings.load_profile("untimed")

REPOSITORY = Path(__file__).resolve().parent.parent

type Resolve = Callable[..., Resolved]

TWO_CPU_RANKS: Mapping[str, SettingValue] = {
    "MODEL": "DeepSeek-V2-Lite",
    "RUN_NAME": "bench",
    "NNODES": 1,
    "GPUS_PER_NODE": 2,
    "RUN_TIME": "00:20:00",
    "DEVICE": "cpu",
}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A setting exported in the developer's shell must not decide a test, nor a test fill the developer's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
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


@pytest.fixture
def configured() -> Callable[..., Resolved]:
    """Makes a configuration: a two-rank CPU job, but for what is given by name."""

    def make(
        flags: Mapping[str, ArgValue] | None = None,
        env: Mapping[str, str] | None = None,
        origins: Mapping[str, Origin] | None = None,
        **settings: SettingValue,
    ) -> Resolved:
        merged = {**TWO_CPU_RANKS, **settings}
        histories = {name: (Entry(value=merged.get(name), origin=origin),) for name, origin in (origins or {}).items()}
        return Resolved(
            settings=merged, megatron_args=MegatronArgs(flags or {}), env=dict(env or {}), origins=histories
        )

    return make


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts an executable of the given name and text first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(name: str, text: str) -> Path:
        path = folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    return put


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """File permissions count even where the tests run as root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


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

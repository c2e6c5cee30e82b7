"""What the launch tests share: a configuration to start from, programs on PATH, and the golden files' switch."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.provenance import Entry, Origin, Resolved, SettingValue

SETTINGS: dict[str, SettingValue] = {
    "MODEL": "DeepSeek-V2-Lite",
    "RUN_NAME": "bench",
    "NNODES": 1,
    "GPUS_PER_NODE": 2,
    "RUN_TIME": "00:20:00",
    "DEVICE": "cpu",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/launch --regenerate-golden` writes the golden files anew."""
    parser.addoption("--regenerate-golden", action="store_true", help="write tests/golden anew, to be read in the diff")


@pytest.fixture
def regenerate(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written rather than compared."""
    return bool(request.config.getoption("--regenerate-golden", default=False))


@pytest.fixture
def configured() -> Callable[..., Resolved]:
    """Makes a configuration: a two-rank CPU job, but for what is given by name."""

    def make(
        flags: Mapping[str, ArgValue] | None = None,
        env: Mapping[str, str] | None = None,
        origins: Mapping[str, Origin] | None = None,
        **settings: SettingValue,
    ) -> Resolved:
        merged = SETTINGS | settings
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

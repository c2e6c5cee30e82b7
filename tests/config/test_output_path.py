"""Where runs are looked for, as the environment and the confs say, without a model."""

from pathlib import Path

import pytest

from harness.config.output_path import find_output_path
from harness.config.roots import Roots
from harness.errors import ConfigError


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A user's folder with a cluster conf of their own, before what ships."""
    (tmp_path / "cluster_configs/benchmarking").mkdir(parents=True)
    return Roots(here=tmp_path, shipped=Roots.standard().shipped)


def write(roots: Roots, text: str) -> None:
    (roots.here / "cluster_configs/benchmarking/mine.conf").write_text(text)


def test_what_is_exported_wins_over_the_conf_and_that_over_the_default(roots: Roots) -> None:
    write(roots, "[cluster]\nSTORAGE = /lustre/${USER}\nOUTPUT_PATH = ${STORAGE}/runs\n")
    environ = {"HOME": "/home/ann", "USER": "ann", "CLUSTER": "mine"}
    assert find_output_path(environ, roots) == Path("/lustre/ann/runs")
    assert find_output_path({**environ, "OUTPUT_PATH": "/tmp/x"}, roots) == Path("/tmp/x")
    assert find_output_path({}, roots) == Path("runs")
    write(roots, "[cluster]\nPARTITION = main\n")
    assert find_output_path(environ, roots) == Path("runs")


def test_the_folder_may_be_in_the_home_folder(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert find_output_path({"OUTPUT_PATH": "~/runs"}, roots) == Path("/home/ann/runs")


def test_what_cannot_be_known_without_a_model_is_said_with_its_place(roots: Roots) -> None:
    write(roots, "[cluster]\n\nOUTPUT_PATH = /lustre/${MODEL}\n")
    with pytest.raises(ConfigError, match=r"mine.conf:3: OUTPUT_PATH: .*MODEL.* --output-path"):
        find_output_path({"CLUSTER": "mine"}, roots)
    with pytest.raises(ConfigError, match="CLUSTER=mien: no such cluster; did you mean mine"):
        find_output_path({"CLUSTER": "mien"}, roots)

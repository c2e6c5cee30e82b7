"""The launcher alone: installed from a wheel, without torch, outside a checkout."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_READ_SCHEMA = """
import json
from importlib.resources import files
json.loads((files("harness.evaluation") / "eval_results.schema.json").read_text())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A fresh environment with nothing but `pip install .`; the path of its `moe-harness`."""
    venv = tmp_path_factory.mktemp("install") / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", repository / "constraints.txt", repository], check=True)
    return venv / "bin" / "moe-harness"


@pytest.mark.slow
def test_every_verb_works_without_torch(installed: Path, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        done = subprocess.run([installed, *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    python = installed.with_name("python")
    assert subprocess.run([python, "-c", "import torch"], capture_output=True).returncode != 0
    assert "DeepSeek-V3" in run("models")
    assert subprocess.run([python, "-c", _READ_SCHEMA], cwd=tmp_path).returncode == 0
    assert json.loads(run("resolve", "--json", "MODEL=DeepSeek-V3"))["argv"]
    assert "EP = 32" in run("explain", "EP", "MODEL=DeepSeek-V3", "EP=32")
    assert "can run on 1024 ranks" in run("check", "--on", "slurm", "MODEL=DeepSeek-V3")
    assert run("launch", "--on", "slurm", "--dry-run", "MODEL=DeepSeek-V3").startswith("#!/bin/bash")
    assert "no runs" in run("runs", "list")
    assert "0.19" in run("releases", "list")
    (tmp_path / "a.txt").write_text("text")
    assert "5 tokens" in run("data", "prepare", "a.txt", "--output", "a")
    assert run("--version").startswith("moe-harness 0.1.0")


_READ_PAGES = """
from importlib.resources import files
pages = files("harness.report.html")
names = ("templates/page.css", "templates/page.js", "templates/report.html.j2", "vendor/uplot/uPlot.iife.min.js",
         "vendor/uplot/LICENSE")
assert all((pages / name).read_text() for name in names)
"""


@pytest.mark.slow
def test_pages_come_along_and_say_what_they_need(installed: Path, tmp_path: Path) -> None:
    assert subprocess.run([installed.with_name("python"), "-c", _READ_PAGES], cwd=tmp_path).returncode == 0
    (tmp_path / "runs").mkdir()
    done = subprocess.run([installed, "eval", "report", "runs"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "eval report needs Jinja2; run tools/setup.sh report in a checkout, or pip install" in done.stderr


ON_BARE_NODES = ("--on", "slurm", "MEGATRON_PATH=", "CONTAINER_IMAGE=", "PROXY=laptop", "GPUS_PER_NODE=2", "DEVICE=cpu")


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ON_BARE_NODES], ids=["here", "slurm"])
def test_the_engine_that_is_not_there_is_named_before_a_run_starts(
    installed: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    command = [installed, "launch", *words, "MODEL=DeepSeek-V3", "PR=fp32", "DATASET=mock", "PRETRAIN=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "error: the embedded engine is not installed here (no torch, no megatron.core)" in done.stderr
    assert "pip install 'moe-harness[engine]'" in done.stderr
    assert not (tmp_path / "runs").exists()

"""Every shipped model on every shipped cluster, as the script that would run, byte for byte."""

import subprocess
from pathlib import Path

import pytest
from golden_script import read_golden, write_golden
from rendered_training import rendered_training

from harness.config.roots import Roots
from harness.launch.executor import Executor

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "shipped"
EXECUTORS: dict[str, Executor] = {"template": "slurm", "laptop": "local"}
CASES = [(model, cluster) for cluster in EXECUTORS for model in Roots.standard().names("model")]


def test_every_shipped_cluster_is_here() -> None:
    assert sorted(EXECUTORS) == Roots.standard().names("cluster")
    assert {path.stem for path in GOLDEN.glob("*.sh")} == {f"{model}.{cluster}" for model, cluster in CASES}


@pytest.mark.parametrize(("model", "cluster"), CASES)
def test_script(resolve, regenerate: bool, model: str, cluster: str) -> None:
    resolved = resolve(f"MODEL={model}", cluster=cluster, here=Path("/home/user"))
    script = rendered_training(resolved, EXECUTORS[cluster], python="/venv/bin/python").script
    path = GOLDEN / f"{model}.{cluster}.sh"
    if regenerate:
        write_golden(path, script)
        pytest.skip(f"wrote {path.name}")
    assert script == read_golden(path)
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0

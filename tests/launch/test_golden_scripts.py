"""Scripts compared byte for byte. `pytest tests/launch --regenerate-golden` writes them anew."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from golden_script import read_golden, write_golden
from rendered_training import rendered_training

from harness.config.provenance import Resolved
from harness.launch.executor import Executor
from harness.launch.job import Array
from harness.launch.script.render import render_script
from harness.training.job import training_job

GOLDEN = Path(__file__).resolve().parents[1] / "golden"

CLUSTER = {
    "ACCOUNT": "proj_llm",
    "PARTITION": "batch",
    "DEVICE": "gpu",
    "GPUS_PER_NODE": 8,
    "CONTAINER_IMAGE": "/images/nemo.sqsh",
    "CONTAINER_MOUNTS": "/lustre,/data:/data:ro",
    "OUTPUT_PATH": "/lustre/runs",
}
FLAGS = {"--num-layers": "27", "--swiglu": True, "--data-path": ("0.3", "/data/a", "0.7", "/data/b")}
HOSTILE = {"--wandb-exp-name": 'it\'s "$(id)" `id` \\ $HOME !', "--title": "two lines\n#SBATCH --uid=0", "--empty": ""}

type Case = tuple[Executor, dict[str, Any]]

CASES: Mapping[str, Case] = {
    "slurm-container-checkout": (
        "slurm",
        {
            **CLUSTER,
            "NNODES": 4,
            "MEGATRON_PATH": "/opt/megatron-lm",
            "SBATCH_ARGS": "--qos=high --exclude node[1-2]",
            "flags": {**FLAGS, "--save": "${RUN_DIR}/checkpoints"},
            "env": {"CUDA_DEVICE_MAX_CONNECTIONS": "1", "WANDB_DIR": "${RUN_DIR}"},
        },
    ),
    "slurm-image-uri-engine": (
        "slurm",
        {**CLUSTER, "CONTAINER_IMAGE": "nvcr.io#nvidia/pytorch:25.04-py3", "flags": FLAGS},
    ),
    "slurm-profiled": ("slurm", {**CLUSTER, "MEGATRON_PATH": "/opt/m", "flags": {"--profile": True}}),
    "slurm-enroot-retries": (
        "slurm",
        {**CLUSTER, "MEGATRON_PATH": "/opt/m", "CONTAINER_RUNTIME": "enroot", "RETRIES": 2, "SRUN_ARGS": "--mpi=pmix"},
    ),
    "slurm-bare-cpu": ("slurm", {"NNODES": 2, "flags": FLAGS}),
    "slurm-hostile": (
        "slurm",
        {**CLUSTER, "MEGATRON_PATH": "/opt/my megatron's $(x)", "flags": HOSTILE, "env": {"NOTE": "a 'b' $(c)\nd"}},
    ),
    "interactive-container": (
        "interactive",
        {**CLUSTER, "MEGATRON_PATH": "/opt/megatron-lm", "flags": FLAGS, "env": {"NCCL_DEBUG": "WARN"}},
    ),
    "interactive-host": ("interactive", {"MEGATRON_PATH": "/opt/megatron-lm", "flags": FLAGS}),
    "local-cpu": ("local", {"flags": {**FLAGS, "--save": "${RUN_DIR}/checkpoints"}, "env": {"OMP_NUM_THREADS": "2"}}),
}


@pytest.fixture(params=CASES)
def rendered(request: pytest.FixtureRequest, configured: Callable[..., Resolved]) -> tuple[Path, str]:
    """Each case's golden file, and its script as rendered now."""
    executor, settings = CASES[request.param]
    rendered = rendered_training(configured(**settings), executor, python="/venv/bin/python", package="/src/harness")
    return GOLDEN / f"{request.param}.sh", rendered.script


def test_scripts_are_those_of_the_golden_files(rendered: tuple[Path, str], regenerate: bool) -> None:
    path, script = rendered
    if regenerate:
        write_golden(path, script)
        pytest.skip(f"wrote {path.name}")
    assert script == read_golden(path)


def test_bash_can_read_them(rendered: tuple[Path, str]) -> None:
    checked = subprocess.run(["bash", "-n"], input=rendered[1], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_shellcheck_finds_nothing(rendered: tuple[Path, str]) -> None:
    assert complaints(rendered[1]) == ""


def test_shellcheck_finds_nothing_in_a_task_of_an_array(configured: Callable[..., Resolved]) -> None:
    job = training_job(configured(**CLUSTER, MEGATRON_PATH="/opt/m"), "slurm")._replace(array=Array(tasks=8, at_once=2))
    script = render_script(job)
    assert "#SBATCH --array=0-7%2\n" in script
    assert complaints(script) == ""


def complaints(script: str) -> str:
    """What shellcheck says of a script."""
    # SC2016, SC2054: patterns hold dollars that must stay, nsys's options commas. SC2329: traps call functions.
    shellcheck = [str(Path(sys.executable).with_name("shellcheck")), "-e", "SC2016,SC2054,SC2329", "-"]
    return subprocess.run(shellcheck, input=script, capture_output=True, text=True).stdout


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.sh")} == set(CASES)

"""What the first rank of a node says of it, run as the job's script runs it: as text, by whatever Python there is."""

import subprocess
import sys
from pathlib import Path

import pytest

import harness.launch.script
from harness.launch.log.node_statement import parse_node

REPORT = (Path(harness.launch.script.__file__).parent / "node_report.py").read_text()
TWO = "printf '%s\\n' 'NVIDIA H100 80GB HBM3, 550.54.15' 'NVIDIA H100 80GB HBM3, 550.54.15'"


@pytest.mark.parametrize(
    ("says", "gpus", "driver"),
    [(TWO, ("NVIDIA H100 80GB HBM3",) * 2, "550.54.15"), ("echo 'No devices were found'; exit 6", (), None)],
)
def test_gpus_and_driver_are_told_as_nvidia_smi_tells_them(
    tmp_path: Path, says: str, gpus: tuple[str, ...], driver: str | None
) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{says}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURMD_NODENAME": "node7", "NCCL_VERSION": "2.26.2-1"}
    told = subprocess.run([sys.executable, "-c", REPORT], env=environ, capture_output=True, text=True, check=True)
    node = parse_node(told.stdout)
    assert node is not None
    assert (node.host, node.gpus, node.versions.get("driver")) == ("node7", gpus, driver)
    assert (node.versions["nccl"], "deep_ep" in node.versions) == ("2.26.2", False)  # not installed here


def test_a_node_without_gpus_says_so(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", REPORT], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    node = parse_node(told.stdout)
    assert node is not None and (node.gpus, "driver" in node.versions) == ((), False)

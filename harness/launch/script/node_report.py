"""What a node runs on, said once in the log: `moe-harness: node {"host": …, "gpus": …, "driver": …, "versions": …}`.

The job's script carries this file as text to the first rank of each node, whatever Python there is: it needs the
standard library of 3.8 alone, and imports neither torch nor Megatron, which take seconds.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from platform import python_version


def main() -> None:
    """Print the node's line by one write, so that no other rank's output lands inside it."""
    gpus, driver = graphics()
    node = {"host": os.environ.get("SLURMD_NODENAME") or socket.gethostname(), "gpus": gpus, "driver": driver}
    os.write(1, f"moe-harness: node {json.dumps({**node, 'versions': versions()})}\n".encode())


def graphics() -> tuple[list[str], str | None]:
    """The GPUs' names and their driver's version, as nvidia-smi tells them."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return [], None
    rows = [line.rsplit(", ", 1) for line in told.splitlines() if ", " in line]
    return [row[0] for row in rows], rows[0][1] if rows else None


def versions() -> dict[str, str | None]:
    """What is installed, by the names that records use; None for what is not."""
    return {
        "python": python_version(),
        "torch": installed("torch"),
        "transformer_engine": installed("transformer-engine"),
        "deep_ep": installed("deep-ep"),
        "megatron_core": megatron(),
        "cuda": cuda(),
        "nccl": nccl(),
    }


def installed(*distributions: str) -> str | None:
    """The version of the first of these distributions that is there."""
    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            pass
    return None


def megatron() -> str | None:
    """Megatron's version: of the checkout that trains, else of what is installed."""
    checkout = os.environ.get("MOE_HARNESS_MEGATRON")
    if not checkout:
        return installed("megatron-core")
    stated = text(checkout, "megatron/core/package_info.py")
    parts = [
        re.search(rf"^{name} *= *['\"]?(\w*)", stated, re.M) for name in ("MAJOR", "MINOR", "PATCH", "PRE_RELEASE")
    ]
    numbers = [part.group(1) for part in parts if part]
    return ".".join(numbers[:3]) + numbers[3] if len(numbers) == 4 else None


def cuda() -> str | None:
    """The CUDA that torch was built with."""
    torch = find_spec("torch")
    if torch is None or torch.origin is None:
        return None
    found = re.search(r"^cuda\b.*= *'([^']+)'", text(str(Path(torch.origin).parent), "version.py"), re.M)
    return found.group(1) if found else None


def nccl() -> str | None:
    """NCCL's version: NVIDIA's images say it in their environment, wheels by their name."""
    told = os.environ.get("NCCL_VERSION", "").split("-")[0]
    return told or installed("nvidia-nccl-cu13", "nvidia-nccl-cu12", "nvidia-nccl-cu11")


def text(folder: str, name: str) -> str:
    """A file's content; nothing where it cannot be read."""
    try:
        return Path(folder, name).read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    main()

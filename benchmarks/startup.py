"""How long the command takes to start, as a multiple of a bare Python: `python benchmarks/startup.py [PAIRS]`.

Each command runs as a process of its own, in turn with `python -c pass`, so that a machine whose speed drifts drifts
for both. The figure is the median of the pairwise ratios; 25th and 75th percentiles show the noise.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

PAIRS = int(sys.argv[1]) if len(sys.argv) > 1 else 15
COMMANDS = {
    "moe-harness --help": ("--help",),
    "moe-harness launch --dry-run MODEL=DeepSeek-V2-Lite": ("launch", "--dry-run", "MODEL=DeepSeek-V2-Lite"),
    "moe-harness launch --on slurm --dry-run MODEL=DeepSeek-V3": (
        *("launch", "--on", "slurm", "--dry-run", "MODEL=DeepSeek-V3"),
    ),
    "moe-harness models": ("models",),
    "moe-harness estimate MODEL=DeepSeek-V3 GPU=H100 NNODES=128": (
        *("estimate", "MODEL=DeepSeek-V3", "GPU=H100", "NNODES=128"),
    ),
    "moe-harness resolve --json MODEL=DeepSeek-V3": ("resolve", "--json", "MODEL=DeepSeek-V3"),
    "moe-harness check --on slurm MODEL=DeepSeek-V3": ("check", "--on", "slurm", "MODEL=DeepSeek-V3"),
    "moe-harness sweep --dry-run MODEL=DeepSeek-V2-Lite MBS=1,2": (
        *("sweep", "--dry-run", "MODEL=DeepSeek-V2-Lite", "MBS=1,2"),
    ),
    "moe-harness runs list": ("runs", "list"),
    "moe-harness runs watch --help": ("runs", "watch", "--help"),
}


def main() -> None:
    """Print a line a command."""
    program = str(Path(sys.executable).with_name("moe-harness"))
    # Whoever uses the command has its byte code cached; so have we.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        for name, words in COMMANDS.items():
            ratios, seconds = _compare([program, *words], [sys.executable, "-c", "pass"], folder, environment)
            low, _, high = statistics.quantiles(ratios, n=4)
            median = statistics.median(ratios)
            print(f"{median:5.1f} x bare python [{low:.1f} to {high:.1f}]  {statistics.median(seconds):.3f} s  {name}")


def _compare(
    command: Sequence[str], bare: Sequence[str], folder: str, environment: dict[str, str]
) -> tuple[list[float], list[float]]:
    """Ratios of the command's wall time to the bare interpreter's, run in turn, and the command's seconds."""
    _wall_s(command, folder, environment)
    pairs = [(_wall_s(command, folder, environment), _wall_s(bare, folder, environment)) for _ in range(PAIRS)]
    return [ours / theirs for ours, theirs in pairs], [ours for ours, _ in pairs]


def _wall_s(command: Sequence[str], folder: str, environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

"""What the harness adds to a training step: `python benchmarks/engine_overhead.py [PAIRS]`.

The same Megatron call runs in turn under `moe-harness launch` (supervised, logged, followed) and under a bare torchrun
that writes to a file. Both logs are read by the same parser. The figure is the median of the pairwise ratios of the
runs' median step times; 1.00 means that the harness costs nothing.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.training.log.parser import LogParser, read_log
from harness.training.summary import window

MODEL = "DeepSeek-V2-Lite"
STEPS = 60
RANKS = 2
WORDS = (f"MODEL={MODEL}", "DATASET=mock", f"TRAIN_ITERS={STEPS}", f"GPUS_PER_NODE={RANKS}", "DEVICE=cpu")


def main() -> None:
    """Print a line a pair, then the ratio."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for pair in range(pairs):
            # Which of the two goes first changes from pair to pair, so that neither gains from a drift.
            runs = (_with_harness, _bare) if pair % 2 else (_bare, _with_harness)
            seconds = {run.__name__: run(folder / f"{pair}-{run.__name__}") for run in runs}
            ratios.append(seconds["_with_harness"] / seconds["_bare"])
            print(f"with {seconds['_with_harness']:.4f} s  bare {seconds['_bare']:.4f} s  ratio {ratios[-1]:.3f}")
    spread = f"[{min(ratios):.3f} to {max(ratios):.3f}]"
    print(f"{statistics.median(ratios):.3f} x bare Megatron, median of {pairs} pairs {spread}")


def _with_harness(folder: Path) -> float:
    """Median step time under `moe-harness launch`."""
    folder.mkdir()
    _run([_program(), "launch", *WORDS], folder, dict(os.environ))
    (log,) = folder.glob("runs/*/log")
    return _median_step_s(log)


def _bare(folder: Path) -> float:
    """Median step time of the same call under torchrun alone."""
    folder.mkdir()
    resolved = json.loads(subprocess.check_output([_program(), "resolve", "--json", *WORDS], cwd=folder))
    threads = max(1, len(os.sched_getaffinity(0)) // RANKS)  # the share of cores that launch gives a CPU rank
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), **resolved["env"]}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={RANKS}"]
    _run([*torchrun, "-m", "harness.engine.pretrain", *resolved["argv"]], folder, environment)
    return _median_step_s(folder / "output")


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    with (folder / "output").open("wb") as output:
        subprocess.run(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, check=True)


def _median_step_s(log: Path) -> float:
    return statistics.median(sample.step_s for sample in window(read_log(log, LogParser()).samples))


def _program() -> str:
    return str(Path(sys.executable).with_name("moe-harness"))


if __name__ == "__main__":
    main()

"""How fast a checkpoint converts, as a share of `cp`: `python benchmarks/convert.py [FOLDER] [PAIRS]`.

A DeepSeek-V3-shaped checkpoint of random weights is made in FOLDER (30 GB are needed there) and converted to
torch_dist by the command as a process of its own; then its output is copied by `cp` and `sync`: in turn, PAIRS times,
so that a disk whose speed drifts drifts for both, and with nothing of what is read in the page cache. The figure is the
median of the pairwise ratios; peak memory is that of the process.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def _experts(width: int) -> tuple[str, str]:
    return f"--moe-ffn-hidden-size={width}", f"--moe-shared-expert-intermediate-size={width}"


# Widths are DeepSeek-V3's own; layers, experts and vocabulary are fewer.
SHAPE = ("MODEL=DeepSeek-V3", "PROXY=none", "EP=1", "PP=1", "VPP=1", "NNODES=1", "GPUS_PER_NODE=1")
SIZES = {
    "1 GB": ("NUM_LAYERS=1", "DENSE_LAYERS=0", "VOCAB_SIZE=4040", "--", "--num-experts=16", *_experts(256)),
    "4 GB": ("NUM_LAYERS=2", "DENSE_LAYERS=1", "VOCAB_SIZE=4040", "--", "--num-experts=16", *_experts(1536)),
    "8 GB": ("NUM_LAYERS=3", "DENSE_LAYERS=1", "VOCAB_SIZE=4040", "--", "--num-experts=24", *_experts(1792)),
}
CASES = (("4 GB", "bf16"), ("4 GB", "fp8"), ("1 GB", "bf16"), ("8 GB", "bf16"))


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A process that ended: seconds, and the most memory it held."""

    wall_s: float
    peak_bytes: int


def main() -> None:
    """Print a line a case."""
    parent = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    pairs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    for size, dtype in CASES:
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            print(_case(Path(folder), size, dtype, pairs), flush=True)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        print(_whole_plan(Path(folder)), flush=True)


def _case(folder: Path, size: str, dtype: str, pairs: int) -> str:
    source, target, copy = folder / "source", folder / "target", folder / "copy"
    make = [sys.executable, str(REPOSITORY / "tools/random_checkpoint.py"), str(source), f"--dtype={dtype}"]
    subprocess.run([*make, *SHAPE, *SIZES[size]], check=True)
    command = [sys.executable, "-m", "harness", "convert", "run", str(source), str(target)]
    runs, copies = [], []
    for _ in range(pairs + 1):
        shutil.rmtree(target, ignore_errors=True)
        _forget(source)
        runs.append(_timed(command))
        shutil.rmtree(copy, ignore_errors=True)
        _forget(target)
        copies.append(_timed(["sh", "-c", f"cp -r {target} {copy} && sync -f {copy}"]))
    written = sum(path.stat().st_size for path in target.rglob("*"))
    ratios = [theirs.wall_s / ours.wall_s for ours, theirs in zip(runs[1:], copies[1:], strict=True)]
    low, high, median_s = min(ratios), max(ratios), statistics.median(run.wall_s for run in runs[1:])
    peak = max(run.peak_bytes for run in runs)
    return (
        f"{dtype}, {written / 1e9:.2f} GB out: {statistics.median(ratios):.2f} of cp [{low:.2f} to {high:.2f}],"
        f" {written / median_s / 1e9:.2f} GB/s, peak {peak / 1e9:.3f} GB"
    )


def _forget(folder: Path) -> None:
    """Take the folder's files out of the page cache, so that both sides read from the disk."""
    os.sync()
    for path in (path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _whole_plan(folder: Path) -> str:
    """The dry run of the full DeepSeek-V3 in FP8, whose files hold headers alone."""
    source = folder / "source"
    make = [
        sys.executable,
        str(REPOSITORY / "tools/random_checkpoint.py"),
        str(source),
        "--dtype=fp8",
        "--headers-only",
    ]
    subprocess.run([*make, "MODEL=DeepSeek-V3", "PROXY=none", "GPUS_PER_NODE=8"], check=True)
    command = [sys.executable, "-m", "harness", "convert", "run", "--dry-run", str(source), str(folder / "target")]
    timed = _timed(command)
    return f"plan of the full DeepSeek-V3: {timed.wall_s:.1f} s, peak {timed.peak_bytes / 1e9:.3f} GB"


def _timed(command: list[str]) -> Timed:
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return Timed(wall_s=time.perf_counter() - start, peak_bytes=usage.ru_maxrss * 1024)


if __name__ == "__main__":
    main()

"""How fast mappings are judged: `python benchmarks/search.py [RUNS]`.

Each figure stands beside a bare Python's work in the same run, since absolute times depend on the machine: predictions
of one way to run (memory and step time) beside a bare loop; a whole search, start-up included, and the import of
`harness.plan.search` beside `python -c pass`.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from harness.config.request import Request
from harness.config.roots import Roots
from harness.config.sources import resolve_request
from harness.cost.hardware import find_gpu
from harness.cost.memory import stage_memory
from harness.cost.step_time import step_time
from harness.plan.search import search
from harness.plan.space.space import Space, space

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
LOOP = 100_000
TRIED = 1_000
SEARCH = ("plan", "MODEL=DeepSeek-V3", "GPU=H100", "GPUS=1024")


def main() -> None:
    """Print a line a figure."""
    of = _space()
    loop_s = _median_s(_loop)
    predicting_s = _median_s(lambda: _predict(of))
    print(f"predictions: {TRIED / predicting_s:,.0f} a second; one takes {predicting_s / TRIED / loop_s * LOOP:,.0f} x")
    print(f"             a turn of a bare Python loop ({loop_s / LOOP * 1e9:.0f} ns)")
    judged = search(of).counts.enumerated
    searching_s = _median_s(lambda: search(of))
    print(f"search:      {judged:,} ways to run judged in {searching_s:.2f} s with warm caches")
    bare = [sys.executable, "-c", "pass"]
    _beside("moe-harness plan, start-up included", [sys.executable, "-m", "harness", *SEARCH], bare)
    _beside("import of harness.plan.search", [sys.executable, "-c", "import harness.plan.search"], bare)


def _space() -> Space:
    """DeepSeek-V3 on 1,024 H100."""
    known = {"MODEL": "DeepSeek-V3", "PROXY": "none", "DATASET": "mock", "PRETRAIN": "1", "GPUS": "1024"}
    gpu = find_gpu("H100")
    assert gpu is not None
    roots = Roots.standard()

    def resolve(settings):
        words = [f"{name}={value}" for name, value in {**known, **settings}.items()]
        return resolve_request(Request(arguments=words, default_cluster="template", executor="slurm"), roots)

    return space(resolve, gpu, {})


def _predict(of: Space) -> None:
    """The first ways to run of the space, one after the other."""
    left = TRIED
    for grid in of.grids():
        for point in of.points(grid):
            for option in of.options_of(point):
                for recompute in option.recomputes:
                    job = of.job(point, option, recompute)
                    stage_memory(job)
                    step_time(job, of.gpu)
                    left -= 1
                    if not left:
                        return


def _loop() -> None:
    total = 0
    for number in range(LOOP):
        total += number


def _median_s(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _beside(name: str, command: list[str], bare: list[str]) -> None:
    """Both as processes of their own, in turn; the median of the pairwise ratios with its quartiles."""
    pairs = [(_wall_s(command), _wall_s(bare)) for _ in range(RUNS)]
    ratios = [ours / theirs for ours, theirs in pairs]
    low, _, high = statistics.quantiles(ratios, n=4)
    seconds = statistics.median(ours for ours, _ in pairs)
    print(f"{statistics.median(ratios):5.1f} x bare python [{low:.1f} to {high:.1f}]  {seconds:.3f} s  {name}")


def _wall_s(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

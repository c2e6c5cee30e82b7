"""How often `runs gate` is wrong: `python benchmarks/gate.py RUN_FOLDER…`, each the folder of a long training run.

The steps of a run are cut into parts, and forty times one of them, drawn at random, is gated against one, two or three
others: like against like, so that every "regressed" is a false alarm. Then the same with its steps made 15 % slower, so
that every "passed" is a miss. Both count what the machine's load does within a run too, which is no noise of steps.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.compare.baseline import Baseline
from harness.compare.baseline_run import BaselineRun, measure
from harness.compare.gate import judge
from harness.compare.tolerance import parse_tolerances
from harness.runs.store import load_run

COMPARISONS, SLOWER = 40, 1.15
PARTS_STEPS = (50, 100, 200)
STEP_TIME_ALONE = parse_tolerances("memory=off,loss=off")

type Steps = NDArray[np.float64]


def main() -> None:
    """Print a line for each run, length of parts and size of the baseline."""
    for folder in sys.argv[1:]:
        steps = np.array(measure(load_run(Path(folder))).step_s)
        print(f"{folder}: {len(steps):,} steps, median {np.median(steps):.4g} s")
        for length in PARTS_STEPS:
            parts = [steps[at : at + length] for at in range(0, len(steps) - length + 1, length)]
            for size in (1, 2, 3):
                if len(parts) > size:
                    like, slower = _outcomes(parts, size, 1.0), _outcomes(parts, size, SLOWER)
                    print(f"  {length} steps, baseline of {size}: {_said(like)}; slowed by 15 %: {_said(slower)}")


def _outcomes(parts: list[Steps], size: int, factor: float) -> Counter[str]:
    random = np.random.default_rng(15)
    found: Counter[str] = Counter()
    for _ in range(COMPARISONS):
        own, *others = (parts[at] for at in random.permutation(len(parts))[: size + 1])
        found[judge(_run(own * factor), (), _baseline(others), STEP_TIME_ALONE).outcome] += 1
    return found


def _run(steps: Steps) -> BaselineRun:
    return BaselineRun(run_id="part", status="completed", step_s=tuple(map(float, steps)), losses={})


def _baseline(parts: Iterable[Steps]) -> Baseline:
    runs = tuple(map(_run, parts))
    return Baseline(created="2026-01-01T00:00:00Z", step_conditions={}, loss_conditions={}, runs=runs)


def _said(found: Counter[str]) -> str:
    return ", ".join(f"{found[outcome]} {outcome}" for outcome in ("passed", "regressed", "inconclusive"))


if __name__ == "__main__":
    main()

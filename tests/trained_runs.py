"""Runs of training as they lie on disk, with step times and losses made up; seeds are fixed."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stored_records import load_version, result_of

from harness.config.megatron_args import MegatronArgs
from harness.launch.rundir import RunPaths
from harness.runs.json_codec import encode
from harness.runs.record import Status
from harness.runs.record_file import save
from harness.runs.store import StoredRun, load_run
from harness.training.log.parser import RunLog
from harness.training.log.samples import StepSample
from harness.training.summary import summarise

FLAGS = {
    "--num-layers": "4",
    "--hidden-size": "128",
    "--num-experts": "8",
    "--seq-length": "128",
    "--global-batch-size": "64",
    "--micro-batch-size": "2",
    "--train-iters": "200",
    "--lr": "1e-3",
    "--data-path": ("/data/alice",),
}


def step_times(seed: int, count: int = 200, *, mean_s: float = 1.0, spread: float = 0.03) -> NDArray[np.float64]:
    """Step times that hang together: an autoregression with φ = 0.6 of logarithms, and a spike in fifty."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, spread * np.sqrt(1 - 0.6**2), count)
    values = np.zeros(count)
    for at in range(1, count):
        values[at] = 0.6 * values[at - 1] + noise[at]
    times: NDArray[np.float64] = mean_s * np.exp(values + 0.5 * (random.random(count) < 0.02))
    return times


def loss_curve(count: int = 200, *, factor: float = 1.0) -> list[float | None]:
    """A falling loss."""
    return [factor * (2 + 8 / (1 + 0.1 * step)) for step in range(1, count + 1)]


def trained_run(
    root: Path,
    run_id: str,
    times_s: Sequence[float] | NDArray[np.float64],
    losses: Sequence[float | None] | None = None,
    *,
    gpus: int = 8,
    status: Status = "completed",
    memory_bytes: int | None = 40 * 1024**3,
    model: str = "DeepSeek-V2-Lite",
    predicted: dict[str, float] | None = None,
    **flags: str,
) -> StoredRun:
    """Write a run into its folder; `flags` as `global_batch_size="128"`. A loss that is None is NaN."""
    args = FLAGS | {f"--{name.replace('_', '-')}": value for name, value in flags.items()}
    curve = loss_curve(len(times_s)) if losses is None else losses
    samples = tuple(
        StepSample(
            iteration=step,
            train_iters=int(str(args["--train-iters"])),
            step_s=float(step_s),
            global_batch_size=int(str(args["--global-batch-size"])),
            loss=loss,
            nan=int(loss is None),
        )
        for step, (step_s, loss) in enumerate(zip(times_s, curve, strict=True), start=1)
    )
    record = load_version(3)
    result = result_of(record)
    assert result.in_effect
    setup = replace(result.in_effect.setup, world_size=gpus)
    flops_per_step = 1e13 * int(str(args["--global-batch-size"])) * int(str(args["--seq-length"]))
    seq_len = int(str(args["--seq-length"]))
    summary = summarise(RunLog(samples=samples), world_size=gpus, seq_len=seq_len, flops_per_step=flops_per_step)
    resolved = replace(
        record.resolved,
        settings={**record.resolved.settings, "MODEL": model},
        megatron_args=MegatronArgs(args),
    )
    summary = replace(
        summary, peak_memory_bytes=memory_bytes, peak_memory_kind="cuda_allocated" if memory_bytes else None
    )
    result = replace(
        result,
        asked=replace(result.asked, world_size=gpus, dp=gpus),
        in_effect=replace(result.in_effect, setup=setup),
        summary=summary,
        predicted=predicted,
    )
    folder = root / run_id
    folder.mkdir(parents=True)
    paths = RunPaths(folder)
    save(replace(record, run_id=run_id, status=status, resolved=resolved, result=result, error=None), paths.record, {})
    values: list[Any] = encode(samples)
    paths.samples.write_text("".join(f"{json.dumps(value)}\n" for value in values))
    return load_run(folder)

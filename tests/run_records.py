"""Runs made up of a stored record: with steps of a chosen duration and noise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from stored_records import load_version, with_result

from harness.compare.measured_run import MeasuredRun, RepeatedRun
from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import SettingValue
from harness.launch.rundir import RunPaths
from harness.runs.record import CampaignItem, Status
from harness.runs.record_file import save
from harness.runs.samples_file import save_samples
from harness.training.log.parser import RunLog
from harness.training.log.samples import StepSample
from harness.training.summary import summarise


def measured_run(
    name: str = "one",
    *,
    step_s: float = 1.0,
    count: int = 200,
    loss: float = 8.0,
    seed: int = 0,
    status: Status = "completed",
    campaign: CampaignItem | None = None,
    flags: dict[str, str | bool] | None = None,
    **settings: SettingValue,
) -> MeasuredRun:
    """A run of so many steps with a noise of 1 %; `loss` is that of the first, from which the others fall."""
    noise = np.random.default_rng(seed).normal(size=count)
    samples = tuple(
        StepSample(
            iteration=at + 1,
            train_iters=count,
            step_s=step_s * (1 + 0.01 * float(noise[at])),
            global_batch_size=64,
            loss=loss - 0.01 * at,
        )
        for at in range(count)
    )
    record = load_version(3)
    args = MegatronArgs({**record.resolved.megatron_args, "--seq-length": "4096", "--num-layers": "4", **(flags or {})})
    resolved = replace(record.resolved, settings={**record.resolved.settings, **settings}, megatron_args=args)
    log = RunLog(samples=samples)
    summary = summarise(log, world_size=8, seq_len=4096, flops_per_step=5.2e15, peak_flops_per_gpu=989e12)
    changed = replace(record, run_id=name, status=status, resolved=resolved, campaign=campaign)
    return MeasuredRun(
        record=with_result(changed, summary=summary, predicted={"step_time_s": 0.9}) if count else changed,
        samples=samples,
    )


def alone(run: MeasuredRun) -> RepeatedRun:
    """The run as it is compared, without repeats."""
    return RepeatedRun(name=run.record.run_id, runs=(run,))


def stored(root: Path, run: MeasuredRun) -> Path:
    """The run in a folder of its own under `root`."""
    paths = RunPaths(root / run.record.run_id)
    paths.root.mkdir(parents=True)
    save(run.record, paths.record, {})
    save_samples(run.samples, run.record, paths)
    return paths.root

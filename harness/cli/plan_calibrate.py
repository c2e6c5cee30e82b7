"""`moe-harness plan calibrate`: the cost model's constants, refitted to runs of one machine."""

from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.run_lookup import ROOT
from harness.cost.hardware import CPU_RANK, Gpu, find_gpu
from harness.cost.step_time import step_time
from harness.errors import ConfigError
from harness.plan.calibration import save_calibration
from harness.plan.fit import Measured, calibrate
from harness.plan.predict import job_of
from harness.report.text.plain_table import plain_table
from harness.runs.record import RunRecord
from harness.runs.store import find_run
from harness.training.result import training_result
from harness.units import show_seconds


@click.command("calibrate")
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@ROOT
def command(runs: Sequence[str], root: Path) -> None:
    """Refit the constants of one machine to measured runs, by id, the beginning of it, or folder (needs scipy).

    What is found is kept beside the runs, and used for every prediction on that machine.
    """
    records = [find_run(root, run).record for run in runs]
    measured = _of_one_machine(records)
    found = calibrate(measured, [record.run_id for record in records])
    rows = [
        (
            record.run_id,
            show_seconds(one.step_s),
            show_seconds(step_time(one.job, one.gpu).total_s),
            show_seconds(step_time(one.job, one.gpu, found.applied()).total_s),
        )
        for record, one in zip(records, measured, strict=True)
    ]
    click.echo(plain_table(rows, ("run", "measured step", "predicted before", "now")))
    click.echo(f"{found.machine}: {save_calibration(root, found)}")


def _of_one_machine(records: Sequence[RunRecord]) -> list[Measured]:
    """The measurements; ConfigError for runs without any, or of several machines."""
    problems = [f"run {record.run_id} ({record.status}) has no step time" for record in records if not _step_s(record)]
    if problems:
        raise ConfigError(problems)
    measured = [_measured(record) for record in records]
    names = sorted({one.gpu.name for one in measured})
    if len(names) > 1:
        raise ConfigError(f"these runs are of several machines ({', '.join(names)}); calibrate one at a time")
    return measured


def _measured(record: RunRecord) -> Measured:
    return Measured(job=job_of(record.resolved), gpu=_machine(record), step_s=_step_s(record) or 0.0)


def _step_s(record: RunRecord) -> float | None:
    result = training_result(record.result)
    return result.summary.median_s if result and result.summary else None


def _machine(record: RunRecord) -> Gpu:
    result = training_result(record.result)
    stated = result.in_effect if result else None
    if stated is not None and stated.device == "cpu":
        return CPU_RANK
    gpu = find_gpu(stated.gpu) if stated and stated.gpu else None
    if gpu is None:
        raise ConfigError(f"run {record.run_id} does not say on what GPU it ran")
    return gpu

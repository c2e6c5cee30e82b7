"""The machine that a job runs on, with what runs there have taught of it."""

from dataclasses import replace
from pathlib import Path

from harness.config.provenance import Resolved
from harness.cost.hardware import CPU_RANK, Gpu
from harness.plan.calibration_file import load_calibrations
from harness.plan.machine import known_machine


def calibrated(resolved: Resolved, gpu: Gpu) -> Gpu:
    """The GPU with the constants that `plan calibrate` has found for it, if it has."""
    found = load_calibrations(Path(resolved.text("OUTPUT_PATH"))).get(gpu.name)
    return replace(gpu, constants=found.applied()) if found else gpu


def known(resolved: Resolved) -> Gpu | None:
    """The machine of a job if its speed is known: a named GPU, or a CPU that was calibrated."""
    if resolved.text("DEVICE") == "cpu":
        machine = calibrated(resolved, CPU_RANK)
        return None if machine is CPU_RANK else machine
    gpu = known_machine(resolved)
    return None if gpu is None else calibrated(resolved, gpu)

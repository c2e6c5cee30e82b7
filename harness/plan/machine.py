"""The machine that a job runs on, with what its cluster conf says otherwise, and what runs there have taught of it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from harness.config.provenance import Resolved
from harness.cost.hardware import CPU_RANK, GPUS, Gpu, find_gpu
from harness.errors import ConfigError, nearest
from harness.plan.calibration import load_calibrations
from harness.units import GIB, GIGA, TERA

PEAKS: Mapping[str, str] = MappingProxyType({"BF16_TFLOPS": "bf16", "FP8_TFLOPS": "fp8", "FP4_TFLOPS": "fp4"})
"""Settings that override a dense peak."""
OVERRIDES = ("HBM_GB", "HBM_TB_S", "NVLINK_DOMAIN", "NVLINK_GB_S", "NIC_GB_S", *PEAKS)


def machine(resolved: Resolved) -> Gpu:
    """GPU with its overrides; ConfigError where it is not set or not known."""
    name = resolved.text("GPU")
    names = [gpu.name for gpu in GPUS]
    if not name:
        raise ConfigError(f"GPU is not set; set GPU=NAME, one of: {', '.join(names)}")
    gpu = find_gpu(name)
    if gpu is None:
        where = resolved.origin("GPU")
        raise ConfigError(f"{where}: GPU={name}: no such GPU; {nearest(name, names)}")
    return _overridden(gpu, resolved)


def known_machine(resolved: Resolved) -> Gpu | None:
    """The GPU of a job that runs on GPUs and names them; None where it is not stated."""
    if resolved.text("DEVICE") != "gpu" or not resolved.text("GPU"):
        return None
    return machine(resolved)


def calibrated(resolved: Resolved, gpu: Gpu) -> Gpu:
    """The GPU with the constants that `plan calibrate` has found for it, if it has."""
    found = load_calibrations(Path(resolved.text("OUTPUT_PATH"))).get(gpu.name)
    return replace(gpu, constants=found.applied()) if found else gpu


def predictable_machine(resolved: Resolved) -> Gpu | None:
    """The machine of a job if its speed is known: a named GPU, or a CPU that was calibrated."""
    if resolved.text("DEVICE") == "cpu":
        found = calibrated(resolved, CPU_RANK)
        return None if found is CPU_RANK else found
    gpu = known_machine(resolved)
    return None if gpu is None else calibrated(resolved, gpu)


def _overridden(gpu: Gpu, resolved: Resolved) -> Gpu:
    given = {name: resolved.number(name) for name in OVERRIDES if resolved.has(name)}
    if not given:
        return gpu
    peaks = {PEAKS[name]: value * TERA for name, value in given.items() if name in PEAKS}
    by = ", ".join(f"{name}={value:g} ({resolved.origin(name)})" for name, value in given.items())
    return replace(
        gpu,
        hbm_bytes=int(given["HBM_GB"] * GIB) if "HBM_GB" in given else gpu.hbm_bytes,  # GB of memory are 2**30 bytes
        hbm_bytes_per_s=given["HBM_TB_S"] * TERA if "HBM_TB_S" in given else gpu.hbm_bytes_per_s,
        nvlink_domain=int(given.get("NVLINK_DOMAIN", gpu.nvlink_domain)),
        nvlink_bytes_per_s=given["NVLINK_GB_S"] * GIGA if "NVLINK_GB_S" in given else gpu.nvlink_bytes_per_s,
        nic_bytes_per_s=given["NIC_GB_S"] * GIGA if "NIC_GB_S" in given else gpu.nic_bytes_per_s,
        peak_flops=MappingProxyType({**gpu.peak_flops, **peaks}),
        source=f"{gpu.source}; {by}",
    )

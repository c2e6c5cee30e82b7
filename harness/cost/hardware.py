"""GPUs: memory and dense peaks from the vendor's data sheets, found by the name that CUDA reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.units import GIB, TERA

PEAK_OF_PRECISION: Mapping[str, str] = MappingProxyType({"mxfp8": "fp8", "nvfp4": "fp4", "fp16": "bf16"})
"""Formats that run at the rate of another one."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU. `peak_flops` maps a precision (bf16, fp8, fp4) to dense operations a second; absent: not supported.

    `hbm_bytes` is the data sheet's capacity; vendors write GB and mean 2**30 bytes (an H200 of "141 GB" reports
    143,771 MiB), so it is slightly more than a process can have.
    """

    name: str
    hbm_bytes: int
    peak_flops: Mapping[str, float]
    source: str

    def peak(self, precision: str) -> float | None:
        """Dense peak in operations a second of `bf16`, `fp16`, `fp8`, `mxfp8`, `fp4` or `nvfp4`; None without."""
        return self.peak_flops.get(PEAK_OF_PRECISION.get(precision, precision))


def _gpu(
    name: str, hbm_gib: int, source: str, *, bf16: float, fp8: float | None = None, fp4: float | None = None
) -> Gpu:
    """A row of the table, peaks given in TFLOP/s."""
    peaks = {"bf16": bf16, "fp8": fp8, "fp4": fp4}
    return Gpu(
        name=name,
        hbm_bytes=hbm_gib * GIB,
        peak_flops=MappingProxyType({key: value * TERA for key, value in peaks.items() if value is not None}),
        source=source,
    )


# Data sheets print Hopper's and Blackwell's peaks with 2:4 sparsity; dense is half, but for FP4 of Blackwell Ultra.
_A100 = "NVIDIA A100 data sheet (2021)"
_H100 = "NVIDIA H100 data sheet: 1,979 / 3,958 TFLOPS sparse (SXM)"
_H200 = "NVIDIA H200 data sheet: 1,979 / 3,958 TFLOPS sparse (SXM)"
_HGX_B200 = "NVIDIA HGX B200 data sheet: 36 / 72 / 144 PFLOPS sparse, 1.4 TB for 8 GPUs"
_GB200 = "NVIDIA GB200 NVL72 data sheet: 360 / 720 / 1,440 PFLOPS sparse, 13.4 TB for 72 GPUs"
_HGX_B300 = "NVIDIA HGX B300 data sheet: 36 / 72 PFLOPS sparse, FP4 105 PFLOPS dense, 2.1 TB for 8 GPUs"
_GB300 = "NVIDIA GB300 NVL72 data sheet: 360 / 720 PFLOPS sparse, FP4 1,080 PFLOPS dense, 20 TB for 72 GPUs"

GPUS = (
    _gpu("A100-40GB", 40, _A100, bf16=312),
    _gpu("A100-80GB", 80, _A100, bf16=312),
    _gpu("H100", 80, _H100, bf16=989.5, fp8=1979),
    _gpu("H100-PCIe", 80, "NVIDIA H100 PCIe data sheet: 1,513 / 3,026 TFLOPS sparse", bf16=756.5, fp8=1513),
    _gpu("H100-NVL", 94, "NVIDIA H100 NVL data sheet: 1,671 / 3,341 TFLOPS sparse", bf16=835.5, fp8=1670.5),
    _gpu("H200", 141, _H200, bf16=989.5, fp8=1979),
    _gpu("H200-NVL", 141, "NVIDIA H200 NVL data sheet: 1,671 / 3,341 TFLOPS sparse", bf16=835.5, fp8=1670.5),
    _gpu("B200", 180, _HGX_B200, bf16=2250, fp8=4500, fp4=9000),
    _gpu("GB200", 186, _GB200, bf16=2500, fp8=5000, fp4=10000),
    _gpu("B300", 270, _HGX_B300, bf16=2250, fp8=4500, fp4=13125),
    _gpu("GB300", 278, _GB300, bf16=2500, fp8=5000, fp4=15000),
)

_BY_NAME = {gpu.name.upper(): gpu for gpu in GPUS}


def find_gpu(name: str) -> Gpu | None:
    """The GPU of a table name (`H100`) or of a name that CUDA reports (`NVIDIA H100 80GB HBM3`); None if unknown.

    A name without a form factor means SXM; an A100 without a size means 80 GB.
    """
    words = name.upper().replace("-", " ").split()
    chip = next((word for word in words if word in {"A100", "H100", "H200", "B200", "GB200", "B300", "GB300"}), None)
    if chip is None:
        return None
    if chip == "A100":
        return _BY_NAME["A100-40GB" if "40GB" in words else "A100-80GB"]
    form = next((word for word in words if word in {"PCIE", "NVL"}), None)
    return _BY_NAME[chip] if form is None else _BY_NAME.get(f"{chip}-{form}")

"""GPUs: memory and dense peaks from the vendor's data sheets, found by the name that CUDA reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from harness.arch.precision import Precision
from harness.cost.constants import FITTED, Constants
from harness.units import GIB, GIGA, TERA

type Architecture = Literal["CPU", "Ampere", "Hopper", "Blackwell", "CDNA3", "CDNA4"]

TF32_SHARE = 0.5
"""The dense TF32 rate beside bf16's, in every data sheet below of a part that has TF32."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU. `peak_flops` maps a number format (bf16, fp8, fp4) to dense operations a second; absent: not supported.

    fp32 multiplies at `fp32_share` of bf16's rate: as TF32, in which Transformer Engine computes GEMMs of fp32.

    `hbm_bytes` is the data sheet's capacity; vendors write GB and mean 2**30 bytes (an H200 of "141 GB" reports
    143,771 MiB), so it is slightly more than a process can have. Bandwidths of links are one way, per GPU;
    `nvlink_domain` counts the GPUs that NVLink (AMD: Infinity Fabric) joins. `sustained` is its board power for each
    bf16 operation of its peak beside that of its architecture's reference part (GB200 for Blackwell): clocks under load
    follow power. `constants` say how much of all this comes out; those of a calibrated machine are its own.
    """

    name: str
    architecture: Architecture
    hbm_bytes: int
    hbm_bytes_per_s: float
    peak_flops: Mapping[str, float]
    nvlink_domain: int
    nvlink_bytes_per_s: float
    nic_bytes_per_s: float
    source: str
    sustained: float = 1.0
    fp32_share: float = TF32_SHARE
    constants: Constants = FITTED

    def __hash__(self) -> int:
        """By name: the table of peaks has no hash."""
        return hash(self.name)

    def peak(self, precision: Precision) -> float | None:
        """Dense peak in operations a second of GEMMs in this precision; None for one that the GPU does not have."""
        if precision.number_format == "fp32":
            bf16 = self.peak_flops.get("bf16")
            return None if bf16 is None else bf16 * self.fp32_share
        return self.peak_flops.get(precision.number_format)


class _Links(NamedTuple):
    """How GPUs of a system reach each other: one-way GB/s a GPU by NVLink, GPUs in its domain, NIC Gbit/s a GPU."""

    nvlink: float
    domain: int
    nic_gbit: float


def _gpu(
    name: str,
    architecture: Architecture,
    hbm_gib: int,
    hbm_tb_s: float,
    links: _Links,
    source: str,
    *,
    bf16: float,
    fp8: float | None = None,
    fp4: float | None = None,
    watts: float | None = None,
    fp32: float | None = None,
) -> Gpu:
    """A row of the table, peaks given in TFLOP/s, that of `fp32` where it has no TF32; `watts` of a board where its
    architecture's parts differ in them."""
    peaks = {"bf16": bf16, "fp8": fp8, "fp4": fp4}
    return Gpu(
        name=name,
        architecture=architecture,
        hbm_bytes=hbm_gib * GIB,
        hbm_bytes_per_s=hbm_tb_s * TERA,
        peak_flops=MappingProxyType({key: value * TERA for key, value in peaks.items() if value is not None}),
        nvlink_domain=links.domain,
        nvlink_bytes_per_s=links.nvlink * GIGA,
        nic_bytes_per_s=links.nic_gbit * GIGA / 8,
        source=source,
        sustained=1.0 if watts is None else watts / bf16 / _GB200_WATTS_PER_TFLOPS,
        fp32_share=TF32_SHARE if fp32 is None else fp32 / bf16,
    )


# Data sheets print Hopper's and Blackwell's peaks with 2:4 sparsity; dense is half, but for FP4 of Blackwell Ultra.
# They print NVLink both ways; one way is half. NICs are those of the vendor's reference systems (DGX, HGX, NVL72).
_A100 = "NVIDIA A100 data sheet (2021): NVLink 600 GB/s; DGX A100: 200 Gbit/s a GPU"
_H100 = "NVIDIA H100 data sheet: 1,979 / 3,958 TFLOPS sparse (SXM), NVLink 900 GB/s; DGX H100: 400 Gbit/s a GPU"
_H200 = "NVIDIA H200 data sheet: 1,979 / 3,958 TFLOPS sparse (SXM), NVLink 900 GB/s; DGX H200: 400 Gbit/s a GPU"
_HGX_B200 = "NVIDIA HGX B200 data sheet: 36 / 72 / 144 PFLOPS sparse, 1.4 TB for 8 GPUs, NVLink 1.8 TB/s; DGX B200"
_GB200 = "NVIDIA GB200 NVL72 data sheet: 360 / 720 / 1,440 PFLOPS sparse, 13.4 TB, 576 TB/s for 72 GPUs"
_HGX_B300 = (
    "NVIDIA HGX B300 data sheet: 36 / 72 PFLOPS sparse, FP4 105 PFLOPS dense, 2.1 TB for 8 GPUs; 800 Gbit/s a GPU"
)
_GB300 = "NVIDIA GB300 NVL72 data sheet: 360 / 720 PFLOPS sparse, FP4 1,080 PFLOPS dense, 20 TB, 576 TB/s for 72 GPUs"
_MI300X = "AMD Instinct MI300X data sheet: 1,307.4 / 2,614.9 TFLOPS, 5.3 TB/s, 7 links of 128 GB/s both ways"
_MI355X = "AMD Instinct MI355X data sheet: 2.5 / 5.0 / 10.1 PFLOPS, FP32 157.3, 8 TB/s, 7 links of 153.6 GB/s both ways"

# Board power: B200 up to 1,000 W, GB200 1,200 W, B300 1,100 W, GB300 1,400 W (NVIDIA's data sheets of these systems).
_GB200_WATTS_PER_TFLOPS = 1200 / 2500

_DGX_A100 = _Links(nvlink=300, domain=8, nic_gbit=200)
_DGX_HOPPER = _Links(nvlink=450, domain=8, nic_gbit=400)
_DGX_B200 = _Links(nvlink=900, domain=8, nic_gbit=400)
_DGX_B300 = _Links(nvlink=900, domain=8, nic_gbit=800)
_NVL72_GB200 = _Links(nvlink=900, domain=72, nic_gbit=400)
_NVL72_GB300 = _Links(nvlink=900, domain=72, nic_gbit=800)
_PAIR_H100_PCIE = _Links(nvlink=300, domain=2, nic_gbit=200)
_PAIR_H100_NVL = _Links(nvlink=300, domain=2, nic_gbit=400)
_FOUR_H200_NVL = _Links(nvlink=450, domain=4, nic_gbit=400)
_OAM_MI300X = _Links(nvlink=448, domain=8, nic_gbit=400)
_OAM_MI355X = _Links(nvlink=537.6, domain=8, nic_gbit=400)

_NVL = "NVIDIA {} NVL data sheet: 1,671 / 3,341 TFLOPS sparse"

GPUS = (
    _gpu("A100-40GB", "Ampere", 40, 1.555, _DGX_A100, _A100, bf16=312),
    _gpu("A100-80GB", "Ampere", 80, 2.039, _DGX_A100, _A100, bf16=312),
    _gpu("H100", "Hopper", 80, 3.35, _DGX_HOPPER, _H100, bf16=989.5, fp8=1979),
    _gpu(
        "H100-PCIe",
        "Hopper",
        80,
        2.0,
        _PAIR_H100_PCIE,
        "NVIDIA H100 PCIe data sheet: 1,513 / 3,026 TFLOPS sparse",
        bf16=756.5,
        fp8=1513,
    ),
    _gpu("H100-NVL", "Hopper", 94, 3.9, _PAIR_H100_NVL, _NVL.format("H100"), bf16=835.5, fp8=1670.5),
    _gpu("H200", "Hopper", 141, 4.8, _DGX_HOPPER, _H200, bf16=989.5, fp8=1979),
    _gpu("H200-NVL", "Hopper", 141, 4.8, _FOUR_H200_NVL, _NVL.format("H200"), bf16=835.5, fp8=1670.5),
    _gpu("B200", "Blackwell", 180, 8.0, _DGX_B200, _HGX_B200, bf16=2250, fp8=4500, fp4=9000, watts=1000),
    _gpu("GB200", "Blackwell", 186, 8.0, _NVL72_GB200, _GB200, bf16=2500, fp8=5000, fp4=10000, watts=1200),
    _gpu("B300", "Blackwell", 270, 8.0, _DGX_B300, _HGX_B300, bf16=2250, fp8=4500, fp4=13125, watts=1100),
    _gpu("GB300", "Blackwell", 278, 8.0, _NVL72_GB300, _GB300, bf16=2500, fp8=5000, fp4=15000, watts=1400),
    _gpu("MI300X", "CDNA3", 192, 5.3, _OAM_MI300X, _MI300X, bf16=1307.4, fp8=2614.9),
    _gpu("MI355X", "CDNA4", 288, 8.0, _OAM_MI355X, _MI355X, bf16=2516.6, fp8=5033.2, fp4=10066.3, fp32=157.3),
)

CPU_RANK = Gpu(
    name="CPU",
    architecture="CPU",
    hbm_bytes=16 * GIB,
    hbm_bytes_per_s=20 * GIGA,
    peak_flops=MappingProxyType({"bf16": 200 * GIGA}),
    nvlink_domain=1 << 20,
    nvlink_bytes_per_s=5 * GIGA,
    nic_bytes_per_s=5 * GIGA,
    source="a rank on one or two cores: orders of magnitude, for `plan calibrate` to start from",
)
"""What stands for a GPU where ranks run on a CPU. Its memory is the machine's own affair."""

_CHIPS = {gpu.name.upper().partition("-")[0] for gpu in GPUS}
_BY_NAME = {gpu.name.upper(): gpu for gpu in GPUS}


def find_gpu(name: str) -> Gpu | None:
    """The GPU of a table name (`H100`) or of a name that CUDA reports (`NVIDIA H100 80GB HBM3`); None if unknown.

    A name without a form factor means SXM; an A100 without a size means 80 GB.
    """
    words = name.upper().replace("-", " ").split()
    chip = next((word for word in words if word in _CHIPS), None)
    if chip is None:
        return None
    if chip == "A100":
        return _BY_NAME["A100-40GB" if "40GB" in words else "A100-80GB"]
    form = next((word for word in words if word in {"PCIE", "NVL"}), None)
    return _BY_NAME[chip] if form is None else _BY_NAME.get(f"{chip}-{form}")
